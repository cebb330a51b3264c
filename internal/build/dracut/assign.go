package dracut

import (
	"errors"
	"fmt"
	"strings"
)

// errNotPlain says that a file needs a shell to be understood.
var errNotPlain = errors.New("not a plain assignment")

// assign reads a file of plain assignments into vars: NAME=word, NAME+=word,
// NAME=(words), one a line or separated by ";", with quotes and comments. For
// anything else the error is errNotPlain, and vars is not to be used.
func assign(vars Vars, text string) error {
	s := &scanner{in: text}
	for {
		s.skipBlank(true)
		if s.done() {
			return nil
		}
		name, plus, err := s.target()
		if err != nil {
			return err
		}
		if s.peek() == '(' {
			s.pos++
			items, err := s.array()
			if err != nil {
				return err
			}
			vars.setArray(name, items, plus)
		} else {
			word, _, err := s.word(false)
			if err != nil {
				return err
			}
			vars.set(name, word, plus)
		}
		if err := s.end(); err != nil {
			return err
		}
	}
}

type scanner struct {
	in  string
	pos int
}

func (s *scanner) done() bool { return s.pos >= len(s.in) }

// peek is the next byte; 0 at the end.
func (s *scanner) peek() byte {
	if s.done() {
		return 0
	}
	return s.in[s.pos]
}

// skipBlank goes over blanks, joined lines and comments; over line ends, too,
// if they do not matter.
func (s *scanner) skipBlank(lines bool) {
	comment := s.pos == 0 || strings.IndexByte(" \t\n;(", s.in[s.pos-1]) >= 0
	for !s.done() {
		c := s.in[s.pos]
		switch {
		case c == ' ' || c == '\t', lines && c == '\n':
			comment = true
		case c == '\\' && s.pos+1 < len(s.in) && s.in[s.pos+1] == '\n':
			s.pos++
		case c == '#' && comment:
			for s.pos+1 < len(s.in) && s.in[s.pos+1] != '\n' {
				s.pos++
			}
		default:
			return
		}
		s.pos++
	}
}

// target is NAME= or NAME+=.
func (s *scanner) target() (name string, plus bool, err error) {
	start := s.pos
	for !s.done() && isName(s.in[s.pos], s.pos > start) {
		s.pos++
	}
	name = s.in[start:s.pos]
	if plus = s.peek() == '+'; plus {
		s.pos++
	}
	if name == "" || s.peek() != '=' {
		return "", false, s.notPlain()
	}
	s.pos++
	return name, plus, nil
}

func isName(c byte, digit bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || digit && c >= '0' && c <= '9'
}

// word reads one word; ok is false if there is none, which in an assignment is
// the empty text. In an array a word may match files, which only a shell knows.
func (s *scanner) word(inArray bool) (text string, ok bool, err error) {
	var b strings.Builder
	for !s.done() {
		c := s.in[s.pos]
		switch c {
		case ' ', '\t', '\n', ';':
			return b.String(), ok, nil
		case '\'':
			end := strings.IndexByte(s.in[s.pos+1:], '\'')
			if end < 0 {
				return "", false, s.notPlain()
			}
			b.WriteString(s.in[s.pos+1 : s.pos+1+end])
			s.pos += end + 2
		case '"':
			if err := s.double(&b); err != nil {
				return "", false, err
			}
		case '\\':
			if s.pos+1 >= len(s.in) {
				return "", false, s.notPlain()
			}
			if s.in[s.pos+1] != '\n' {
				b.WriteByte(s.in[s.pos+1])
			}
			s.pos += 2
		case ')':
			if inArray {
				return b.String(), ok, nil
			}
			return "", false, s.notPlain()
		case '$', '`', '(', '<', '>', '|', '&', '~', 0:
			return "", false, s.notPlain()
		case '*', '?', '[', '{':
			if inArray {
				return "", false, s.notPlain()
			}
			b.WriteByte(c)
			s.pos++
		default:
			b.WriteByte(c)
			s.pos++
		}
		ok = true
	}
	return b.String(), ok, nil
}

// double reads the rest of "...".
func (s *scanner) double(b *strings.Builder) error {
	for s.pos++; !s.done(); s.pos++ {
		switch c := s.in[s.pos]; c {
		case '"':
			s.pos++
			return nil
		case '$', '`', 0:
			return s.notPlain()
		case '\\':
			if s.pos+1 >= len(s.in) {
				return s.notPlain()
			}
			s.pos++
			switch e := s.in[s.pos]; e {
			case '\n':
			case '$', '`', '"', '\\':
				b.WriteByte(e)
			default:
				b.WriteByte('\\')
				b.WriteByte(e)
			}
		default:
			b.WriteByte(c)
		}
	}
	return s.notPlain()
}

// array reads words up to the closing parenthesis.
func (s *scanner) array() ([]string, error) {
	var out []string
	for {
		s.skipBlank(true)
		switch s.peek() {
		case ')':
			s.pos++
			return out, nil
		case '[', ';', 0: // [index]=word, an error, the end
			return nil, s.notPlain()
		}
		w, ok, err := s.word(true)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, w)
		}
	}
}

// end wants nothing more on the line: a word after an assignment would be a
// command.
func (s *scanner) end() error {
	s.skipBlank(false)
	switch s.peek() {
	case '\n':
		s.pos++
	case ';':
		s.pos++
		if s.peek() == ';' {
			return s.notPlain()
		}
	case 0:
		if !s.done() {
			return s.notPlain()
		}
	default:
		return s.notPlain()
	}
	return nil
}

func (s *scanner) notPlain() error {
	return fmt.Errorf("line %d: %w", 1+strings.Count(s.in[:min(s.pos, len(s.in))], "\n"), errNotPlain)
}
