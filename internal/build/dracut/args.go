package dracut

import (
	"fmt"
	"slices"
	"strings"
)

// Args is a command line, taken apart and not yet joined with the
// configuration.
type Args struct {
	Compat  string // "059" or "ng"
	Output  string
	Kver    string // the second operand
	Include [][2]string

	// Stored are the options as they are kept in the image, for --rebuild and
	// for lsinitrd.
	Stored []string

	// Notices are lines for the user, one for each option that does nothing
	// here.
	Notices []string

	given []given
	words []string // the command line itself
}

// Parse takes dracut's command line apart. env is the environment: with
// --compat ng, DRACUT_EXTRA_ARGS holds words that come before the others.
func Parse(args []string, env func(string) string) (*Args, error) {
	compat, err := compatOf(args)
	if err != nil {
		return nil, err
	}
	a := &Args{Compat: compat, words: slices.Clone(args)}
	if extra := env("DRACUT_EXTRA_ARGS"); extra != "" && compat == "ng" {
		args = append(strings.Fields(extra), args...)
	}
	return a, a.parse(args)
}

func (a *Args) parse(args []string) error {
	opts, operands, err := getopt(options(), a.Compat, args)
	if err != nil {
		return err
	}
	a.given = opts
	if err := a.operands(operands); err != nil {
		return err
	}
	said := map[string]bool{}
	for _, g := range opts {
		o := g.Opt
		switch o.Standing {
		case refused:
			return fmt.Errorf("%s: %s", o.name(), o.Here)
		case noted:
			if !said[o.name()] {
				a.Notices = append(a.Notices, o.name()+": "+o.Here)
				said[o.name()] = true
			}
		}
		if o.Long[0] == "rebuild" || o.Ours {
			continue
		}
		a.Stored = append(a.Stored, g.Word)
		if o.Arg != "" {
			a.Stored = append(a.Stored, quote(g.Arg))
		}
	}
	for _, inc := range a.Include {
		a.Stored = append(a.Stored, "--include", quote(inc[0]), quote(inc[1]))
	}
	return nil
}

// operands are OUTPUT and KVER, and the two words after each --include.
func (a *Args) operands(words []string) error {
	var rest []string
	for i := 0; i < len(words); i++ {
		if words[i] != includeMark {
			rest = append(rest, words[i])
			continue
		}
		if i+2 >= len(words) || words[i+1] == includeMark || words[i+2] == includeMark {
			return usagef("option --include needs two words after it: SRC and DST")
		}
		a.Include = append(a.Include, [2]string{words[i+1], words[i+2]})
		i += 2
	}
	if len(rest) > 2 {
		err := fmt.Errorf("%q is one operand too many: there are at most two, the output and the kernel version, and %q and %q are these", rest[2], rest[0], rest[1])
		if g, ok := a.last("add"); ok && !strings.Contains(g.Arg, " ") && isModuleName(rest[0]) {
			err = fmt.Errorf("%w; a list is one word in quotes: --add %q", err, g.Arg+" "+strings.Join(rest[:moduleNames(rest)], " "))
		}
		return UsageError{err}
	}
	if len(rest) > 0 {
		a.Output = rest[0]
	}
	if len(rest) > 1 {
		a.Kver = rest[1]
	}
	return nil
}

// isModuleName tells a module's name from a file's.
func isModuleName(s string) bool {
	return s != "" && !strings.ContainsAny(s, "/.") && (s[0] < '0' || s[0] > '9')
}

// moduleNames counts the leading words that look like names of modules.
func moduleNames(words []string) int {
	n := 0
	for n < len(words) && isModuleName(words[n]) {
		n++
	}
	return n
}

// last is the last use of an option.
func (a *Args) last(name string) (given, bool) {
	for _, g := range slices.Backward(a.given) {
		if g.Opt.Long[0] == name {
			return g, true
		}
	}
	return given{}, false
}

// value is the argument or the constant of the last option that sets a
// variable.
func (a *Args) value(name string) string {
	for _, g := range slices.Backward(a.given) {
		if g.Opt.Var != name {
			continue
		}
		if g.Opt.Arg != "" {
			return g.Arg
		}
		return g.Opt.Value
	}
	return ""
}

// Rebuild is the image whose own words come before these; "" if none does.
func (a *Args) Rebuild() string { return a.value("rebuild") }

// Wants says whether an option that is an action was given: help, version,
// list_modules, print_cmdline, regenerate_all, printconfig.
func (a *Args) Wants(action string) bool { return a.value(action) == "yes" }

// Rebuilt is the command line with the words of an image before it.
func (a *Args) Rebuilt(stored []string) (*Args, error) {
	b := &Args{Compat: a.Compat, words: a.words}
	if err := b.parse(append(slices.Clone(stored), a.words...)); err != nil {
		return nil, fmt.Errorf("words kept in %s: %w", a.Rebuild(), err)
	}
	b.Output = a.Output
	if b.Output == "" {
		b.Output = a.Rebuild()
	}
	return b, nil
}

// WithKver is the command line for one of several kernels: --regenerate-all
// calls dracut anew for each.
func (a *Args) WithKver(kver string) *Args {
	b := *a
	b.Kver = kver
	b.given = slices.DeleteFunc(slices.Clone(a.given), func(g given) bool {
		return g.Opt.Var == "regenerate_all" || g.Opt.Var == "parallel"
	})
	drop := map[string]bool{"--regenerate-all": true, "--parallel": true, "-p": true}
	b.Stored = append([]string{"--kver", quote(kver)}, slices.DeleteFunc(slices.Clone(a.Stored), func(w string) bool { return drop[w] })...)
	return &b
}

// compatOf looks for --compat before anything else: it decides what
// abbreviations mean.
func compatOf(args []string) (string, error) {
	compat := "059"
	for i, w := range args {
		v, ok := strings.CutPrefix(w, "--compat=")
		switch {
		case w == "--":
			return compat, nil
		case ok:
		case w == "--compat" && i+1 < len(args):
			v = args[i+1]
		default:
			continue
		}
		if v != "059" && v != "ng" {
			return "", usagef("--compat %q: there are 059 and ng", v)
		}
		compat = v
	}
	return compat, nil
}

// quote writes a word so that a shell reads it back.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Split takes apart the words kept in an image, as a shell would: blanks,
// quotes and backslashes; nothing is expanded.
func Split(text string) ([]string, error) {
	var out []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case ' ', '\t', '\n':
			if inWord {
				out, inWord = append(out, word.String()), false
				word.Reset()
			}
		case '\'':
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				return nil, fmt.Errorf("a quote is not closed in %q", text)
			}
			word.WriteString(text[i+1 : i+1+end])
			i += 1 + end
			inWord = true
		case '"':
			inWord = true
			for i++; ; i++ {
				if i >= len(text) {
					return nil, fmt.Errorf("a quote is not closed in %q", text)
				}
				if text[i] == '"' {
					break
				}
				if text[i] == '\\' && i+1 < len(text) && strings.IndexByte("\\\"$`", text[i+1]) >= 0 {
					i++
				}
				word.WriteByte(text[i])
			}
		case '\\':
			if i+1 < len(text) {
				i++
				word.WriteByte(text[i])
			}
			inWord = true
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		out = append(out, word.String())
	}
	return out, nil
}
