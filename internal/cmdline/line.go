// Package cmdline parses the kernel command line: how words are split, which
// source wins, what a word means. It covers dracut's words as dracut 059
// reads them (dracut.cmdline(7)), the kernel's ip= and pxelinux's SYSAPPEND
// words, and the bareroot.* words. It does nothing but read and parse: nothing
// is configured here. What is said about the words is in package words.
package cmdline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Word is one word of a command line.
type Word struct {
	Key    string
	Value  string
	Bare   bool   // written without "="
	Source string // where it came from, for messages
	Old    string // what was written, if that was a deprecated or another spelling
	Arg    bool   // Value stood after "--": an argument of the root's init, and no word
}

// String is the word as written, without quotes.
func (w Word) String() string {
	switch {
	case w.Arg:
		return w.Value
	case w.Bare:
		return w.Key
	}
	return w.Key + "=" + w.Value
}

// Line is a command line: words in order, the weakest source first. For a
// single value the last word wins.
type Line []Word

// Split cuts s as the kernel does: blanks separate, double quotes protect
// blanks. Quotes around a whole word or around its value are removed, those
// within are not; a missing closing quote ends with the string.
func Split(s string) []string {
	var out []string
	for i := 0; i < len(s); {
		if blank(s[i]) {
			i++
			continue
		}
		start, quoted := i, false
		for ; i < len(s) && (quoted || !blank(s[i])); i++ {
			if s[i] == '"' {
				quoted = !quoted
			}
		}
		if w := unquote(s[start:i]); w != "" {
			out = append(out, w)
		}
	}
	return out
}

func blank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func unquote(w string) string {
	if rest, ok := strings.CutPrefix(w, `"`); ok {
		return strings.TrimSuffix(rest, `"`)
	}
	if k, v, ok := strings.Cut(w, `="`); ok && !strings.ContainsAny(k, `="`) {
		return k + "=" + strings.TrimSuffix(v, `"`)
	}
	return w
}

// quote writes w so that Split gives it back.
func quote(w string) string {
	k, v, value := strings.Cut(w, "=")
	forms := []string{w, `"` + w + `"`, `"` + w}
	if value {
		forms = []string{w, k + `="` + v + `"`, k + `="` + v, `"` + w + `"`, `"` + w}
	}
	for _, f := range forms {
		if strings.Count(f, `"`)%2 == 0 {
			if s := Split(f); len(s) == 1 && s[0] == w {
				return f
			}
		}
	}
	w = strings.ReplaceAll(w, `"`, "") // cannot be said to a kernel
	if strings.ContainsFunc(w, func(r rune) bool { return r < 128 && blank(byte(r)) }) {
		return `"` + w + `"`
	}
	return w
}

// Parse reads one source. What follows "--" is no word, see Word.Arg.
func Parse(s, source string) Line { return parseWords(Split(s), source) }

func parseWords(words []string, source string) Line {
	var l Line
	args := false
	for _, w := range words {
		switch {
		case args:
			l = append(l, Word{Value: w, Source: source, Arg: true})
		case w == "--":
			args = true
		case w != "":
			l = append(l, parseWord(w, source))
		}
	}
	return l
}

// FromWords reads words that are split already, such as those of an order, and
// writes them in their proper spelling.
func FromWords(words []string, source string) Line {
	return parseWords(words, source).Canonical()
}

func parseWord(w, source string) Word {
	k, v, ok := strings.Cut(w, "=")
	return Word{Key: k, Value: v, Bare: !ok, Source: source}
}

// Source is one text with command-line words.
type Source struct {
	Name string
	Text string
}

// Merge joins sources, the weakest first. The first one is the ramdisk's
// configuration: a key in locked that it sets is not taken from any later
// source; each word refused so is named in a notice. Words are written in their
// proper spelling, see Canonical.
func Merge(locked []string, config Source, stronger ...Source) (Line, []string) {
	line := Parse(config.Text, config.Name).Canonical()
	var keys Line // a locked word is locked in each of its spellings
	for _, k := range locked {
		keys = append(keys, Word{Key: k})
	}
	locked = nil
	for _, w := range keys.Canonical() {
		locked = append(locked, w.Key)
	}
	var notices []string
	set := map[string]bool{}
	for _, w := range line {
		if slices.Contains(locked, w.Key) {
			set[w.Key] = true
		}
	}
	for _, s := range stronger {
		for _, w := range Parse(s.Text, s.Name).Canonical() {
			if set[w.Key] || slices.Contains(locked, w.Key) {
				notices = append(notices, fmt.Sprintf("%s: word %q ignored: this ramdisk's configuration locks %s", s.Name, w.Masked(), w.Key))
				continue
			}
			line = append(line, w)
		}
	}
	return strongestArgs(line), notices
}

// strongestArgs keeps the arguments for the root's init of the last source
// that has some.
func strongestArgs(l Line) Line {
	last := ""
	for _, w := range l {
		if w.Arg {
			last = w.Source
		}
	}
	return slices.DeleteFunc(l, func(w Word) bool { return w.Arg && w.Source != last })
}

// Last is the last word with one of the keys.
func (l Line) Last(keys ...string) (Word, bool) {
	for i := len(l) - 1; i >= 0; i-- {
		if slices.Contains(keys, l[i].Key) {
			return l[i], true
		}
	}
	return Word{}, false
}

// Get is the value of the last word with key; "" for a bare word.
func (l Line) Get(key string) (string, bool) {
	w, ok := l.Last(key)
	return w.Value, ok
}

// All is every word with key, in order.
func (l Line) All(key string) []Word {
	var out []Word
	for _, w := range l {
		if w.Key == key {
			out = append(out, w)
		}
	}
	return out
}

// Has says whether key was given at all.
func (l Line) Has(key string) bool {
	_, ok := l.Last(key)
	return ok
}

// Bool is dracut's getargbool: 0, no and off are false, everything else that
// is present is true, also the bare word.
func (l Line) Bool(def bool, keys ...string) bool {
	w, ok := l.Last(keys...)
	if !ok {
		return def
	}
	return w.Bare || (w.Value != "0" && w.Value != "no" && w.Value != "off")
}

// Int is dracut's getargnum: digits in min..max, else def.
func (l Line) Int(def, min, max int, key string) int {
	v, ok := l.Get(key)
	if !ok {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < min || n > max || strings.HasPrefix(v, "+") {
		return def
	}
	return n
}

// Is says whether the last word with key has the value.
func (l Line) Is(key, value string) bool {
	v, ok := l.Get(key)
	return ok && v == value
}

// String is the line as one text, quoted so that it reads back the same;
// arguments of the root's init stand at its end.
func (l Line) String() string {
	var words, args []string
	for _, w := range l {
		if w.Arg {
			args = append(args, quote(w.String()))
		} else {
			words = append(words, quote(w.String()))
		}
	}
	if args != nil {
		words = append(append(words, "--"), args...)
	}
	return strings.Join(words, " ")
}
