package cmdline

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Type says what values a word takes.
type Type byte

// The types. Form is a grammar of its own, which its reader checks.
const (
	Bool    Type = 'b'
	Flag    Type = 'f'
	Number  Type = 'n'
	Text    Type = 't'
	Choice  Type = 'c'
	Hash    Type = 'h'
	Form    Type = 'o'
	List    Type = 'l'
	Path    Type = 'p'
	URL     Type = 'u'
	Address Type = 'a'
)

// Stages of a boot, in order, by dracut's hook names.
var Stages = [...]string{"cmdline", "pre-udev", "pre-trigger", "initqueue", "pre-mount", "mount", "pre-pivot", "cleanup"}

// Rule is what init knows of a word: package words has the rest, and makes
// the table in known.go from it.
type Rule struct {
	Name     string
	Aliases  []string // other spellings
	Old      []string // deprecated spellings
	Type     Type
	Min, Max int64 // of a Number; Max 0: no limit
	Choices  []string
	Default  string
	NotYet   bool   // understood, not carried out by this version
	Instead  string // a deprecated word with another meaning: what it stands for
}

// ParseRule reads a line of the table.
func ParseRule(s string) Rule {
	f := append(strings.Split(s, "\t"), "", "", "", "", "")
	names, old, _ := strings.Cut(f[0], ";")
	r := Rule{Type: Type(f[1][0]), Default: f[3], NotYet: f[4] == "-", Instead: f[5]}
	all := strings.Split(names, ",")
	r.Name, r.Aliases = all[0], all[1:]
	if old != "" {
		r.Old = strings.Split(old, ",")
	}
	switch {
	case r.Type == Number && f[2] != "":
		lo, hi, _ := strings.Cut(f[2], "..")
		r.Min, _ = strconv.ParseInt(lo, 10, 64)
		r.Max, _ = strconv.ParseInt(hi, 10, 64)
	case f[2] != "":
		r.Choices = strings.Split(f[2], ",")
	}
	return r
}

// rules is the table by every spelling.
func rules() map[string]Rule {
	out := make(map[string]Rule)
	for s := range strings.Lines(known) {
		r := ParseRule(strings.TrimSuffix(s, "\n"))
		for _, n := range append(append([]string{r.Name}, r.Aliases...), r.Old...) {
			out[n] = r
		}
	}
	return out
}

// Canonical writes every word in its proper spelling, so that a reader looks
// for one name only. A deprecated spelling of a yes-or-no word means yes
// whatever its value is, as in dracut. Word.Old keeps what was written.
func (l Line) Canonical() Line {
	table := rules()
	out := slices.Clone(l)
	for i, w := range out {
		r, ok := table[w.Key]
		if !ok || (w.Key == r.Name && r.Instead == "") {
			continue
		}
		out[i].Old = w.String()
		switch {
		case r.Instead != "":
			k, v, set := strings.Cut(r.Instead, "=")
			out[i].Key = k
			if set {
				out[i].Value, out[i].Bare = v, false
			}
		case r.Type == Bool && slices.Contains(r.Old, w.Key):
			out[i].Key, out[i].Value, out[i].Bare = r.Name, "1", false
		default:
			out[i].Key = r.Name
		}
	}
	return out
}

// Check compares a line with the table. Each message names a word and the
// rule that it breaks; what the word then means is said by the reader's
// default, as in dracut.
func Check(l Line) []string {
	var out []string
	table := rules()
	for _, w := range l {
		if r, ok := table[w.Key]; ok {
			if rule := r.Broken(w); rule != "" {
				out = append(out, fmt.Sprintf("%s: %q: %s", w.Source, w.Masked(), rule))
			}
		}
	}
	return out
}

// NotYet names the words of a line that are understood but not carried out. A
// word that switches such a thing off asks for nothing.
func NotYet(l Line) []string {
	var out []string
	table := rules()
	for _, w := range l {
		if r, ok := table[w.Key]; ok && r.NotYet && (r.Type != Bool || Line{w}.Bool(true, w.Key)) && !slices.Contains(out, w.Masked()) {
			out = append(out, w.Masked())
		}
	}
	return out
}

// Broken is the rule that w breaks, or "". It leaves a Form to its reader.
func (r Rule) Broken(w Word) string {
	if slices.Contains(r.Old, w.Key) && r.Type == Bool {
		return "" // its presence counts
	}
	def := ""
	if r.Default != "" {
		def = fmt.Sprintf("; the default %q is used", r.Default)
	}
	switch r.Type {
	case Bool:
		if !w.Bare && !slices.Contains([]string{"0", "1", "yes", "no", "on", "off", ""}, w.Value) {
			return fmt.Sprintf("%s takes 0, 1, yes, no, on or off; this counts as yes", r.Name)
		}
	case Flag:
		if !w.Bare {
			return r.Name + " is a bare word"
		}
	case Number:
		n, err := strconv.ParseInt(w.Value, 10, 64)
		switch {
		case err != nil || n < 0 || w.Value[0] == '+':
			return fmt.Sprintf("%s takes a number from %d on%s", r.Name, r.Min, def)
		case r.Max > 0 && (n < r.Min || n > r.Max), n < r.Min:
			return fmt.Sprintf("%s takes a number from %d to %d%s", r.Name, r.Min, r.Max, def)
		}
	case Choice:
		if !(w.Bare && bareToo(r.Name)) && !slices.Contains(r.Choices, w.Value) {
			return fmt.Sprintf("%s takes one of %s%s", r.Name, strings.Join(r.Choices, ", "), def)
		}
	case Hash:
		if !IsSHA256(w.Value) {
			return r.Name + " takes 64 hexadecimal digits"
		}
	case Address:
		if _, err := netip.ParseAddr(unbracket(w.Value)); err != nil {
			return r.Name + " takes an IP address"
		}
	case URL:
		u, err := url.Parse(w.Value)
		if err != nil || u.Scheme == "" || (u.Host == "" && u.Scheme != "file") {
			return r.Name + " takes a URL, SCHEME://HOST/..."
		}
	case List, Path:
		switch {
		case w.Bare && bareToo(r.Name):
		case w.Value == "":
			return r.Name + " needs a value"
		case len(r.Choices) > 0:
			for _, v := range strings.Split(w.Value, ",") {
				if !slices.Contains(r.Choices, v) {
					return fmt.Sprintf("%s takes a comma list of %s; %q is none of them", r.Name, strings.Join(r.Choices, ", "), v)
				}
			}
		}
	}
	return ""
}

// unbracket takes the brackets off an IPv6 address.
func unbracket(s string) string {
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		return s[1 : len(s)-1]
	}
	return s
}

// IsSHA256 says whether s is a sha256 in hexadecimal digits.
func IsSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range s {
		if !strings.ContainsRune("0123456789abcdefABCDEF", c) {
			return false
		}
	}
	return true
}

// List joins the comma lists of all words with one of the keys.
func (l Line) List(keys ...string) []string {
	var out []string
	for _, w := range l {
		if !slices.Contains(keys, w.Key) {
			continue
		}
		for _, v := range strings.Split(w.Value, ",") {
			if v != "" {
				out = append(out, v)
			}
		}
	}
	return out
}

// InitArgs are the arguments for the root's init: what follows "--", and
// else the words that classic inits know.
func (l Line) InitArgs() []string {
	var out []string
	for _, w := range l {
		switch {
		case w.Arg:
			out = append(out, w.Value)
		case w.Bare && slices.Contains([]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "s", "S", "single", "emergency", "auto"}, w.Key):
			out = append(out, w.Key)
		}
	}
	return out
}
