package hook

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseExports reads what "export -p" of busybox, dash or bash writes. What is
// no export is passed over; a quote that does not end is an error, with what
// was read before it.
func ParseExports(s string) (map[string]string, error) {
	out := map[string]string{}
	for s != "" {
		rest, ok := strings.CutPrefix(s, "export ")
		if !ok {
			if rest, ok = strings.CutPrefix(s, "declare -"); ok { // bash, with attributes
				flags, after, found := strings.Cut(rest, " ")
				ok, rest = found && strings.Contains(flags, "x") && !strings.Contains(flags, "\n"), after
			}
		}
		n := 0
		if ok {
			for n < len(rest) && nameByte(rest[n], n) {
				n++
			}
		}
		if n == 0 || n == len(rest) || rest[n] != '=' {
			// Without a value, or nothing of ours.
			_, s, _ = strings.Cut(s, "\n")
			continue
		}
		value, after, err := word(rest[n+1:])
		if err != nil {
			return out, fmt.Errorf("%s: %w", rest[:n], err)
		}
		out[rest[:n]] = value
		_, s, _ = strings.Cut(after, "\n")
	}
	return out, nil
}

func nameByte(c byte, at int) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || at > 0 && c >= '0' && c <= '9'
}

// word reads one word of a shell up to a blank or the end of the line.
func word(s string) (value, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '\n' || c == ' ' || c == '\t' || c == ';':
			return b.String(), s[i:], nil
		case c == '\'':
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 {
				return "", "", fmt.Errorf("a single quote does not end")
			}
			b.WriteString(s[i+1 : i+1+end])
			i += end + 2
		case c == '"':
			n, err := doubleQuoted(&b, s[i+1:])
			if err != nil {
				return "", "", err
			}
			i += n + 1
		case c == '$' && strings.HasPrefix(s[i+1:], "'"):
			n, err := ansiQuoted(&b, s[i+2:])
			if err != nil {
				return "", "", err
			}
			i += n + 2
		case c == '\\' && i+1 < len(s):
			b.WriteByte(s[i+1])
			i += 2
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String(), "", nil
}

// doubleQuoted reads up to and with the closing quote and gives the length.
func doubleQuoted(b *strings.Builder, s string) (int, error) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return i + 1, nil
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte("\\\"$`\n", s[i+1]) >= 0:
			i++
			if s[i] != '\n' {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return 0, fmt.Errorf("a double quote does not end")
}

var escapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'a': 7, 'b': 8, 'e': 27, 'E': 27, 'f': 12, 'v': 11, '\\': '\\', '\'': '\'', '"': '"', '?': '?'}

// ansiQuoted reads what follows $' in bash, and gives the length.
func ansiQuoted(b *strings.Builder, s string) (int, error) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			return i + 1, nil
		case s[i] != '\\' || i+1 == len(s):
			b.WriteByte(s[i])
		default:
			i++
			if e, ok := escapes[s[i]]; ok {
				b.WriteByte(e)
				continue
			}
			n := 0
			for n < 3 && i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '7' {
				n++
			}
			if v, err := strconv.ParseUint(s[i:i+n], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += n - 1
				continue
			}
			b.WriteString(`\` + s[i:i+1])
		}
	}
	return 0, fmt.Errorf("a quote does not end")
}

// Quote writes s so that a shell reads it as one word.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
