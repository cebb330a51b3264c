package dracut

import (
	"fmt"
	"slices"
	"strings"
)

// given is an option of the command line as getopt_long sees it.
type given struct {
	Opt  *option
	Word string // as it was written, completed: -f, --force
	Arg  string
}

// includeMark stands for -i and --include, which take two words and which
// getopt_long therefore does not know: the two are found among the operands.
const includeMark = "++include"

// getopt takes a command line apart as getopt_long(3) does: options and
// operands in any order, --long=value, abbreviations, -xVALUE.
func getopt(table []option, compat string, args []string) (opts []given, operands []string, err error) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		switch {
		case word == "-i" || word == "--include":
			operands = append(operands, includeMark)
			continue
		case word == "--":
			for _, w := range args[i+1:] {
				if w == "-i" || w == "--include" {
					w = includeMark
				}
				operands = append(operands, w)
			}
			return opts, operands, nil
		case word == "-" || !strings.HasPrefix(word, "-"):
			operands = append(operands, word)
			continue
		}
		// next is the word after, for an option that wants one.
		next := func(o *option, name string) (string, error) {
			if i+1 >= len(args) {
				return "", usagef("option %s needs an argument: %s", name, o.Arg)
			}
			i++
			return args[i], nil
		}
		if long, ok := strings.CutPrefix(word, "--"); ok {
			name, value, hasValue := strings.Cut(long, "=")
			o, full, err := findLong(table, compat, name)
			if err != nil {
				return nil, nil, err
			}
			g := given{Opt: o, Word: "--" + full, Arg: value}
			switch {
			case o.Long[0] == "include":
				return nil, nil, usagef("option --include takes two words after it, SRC and DST, and cannot be shortened or written with =")
			case o.Arg == "" && hasValue:
				return nil, nil, usagef("option --%s takes no argument", full)
			case o.Arg != "" && !hasValue:
				if g.Arg, err = next(o, "--"+full); err != nil {
					return nil, nil, err
				}
			}
			opts = append(opts, g)
			continue
		}
		for j := 1; j < len(word); j++ {
			o := findShort(table, word[j])
			name := "-" + word[j:j+1]
			switch {
			case o == nil || word[j] == 'i': // -i is a word of its own
				return nil, nil, usagef("unknown option %s in %q", name, word)
			case o.Arg == "":
				opts = append(opts, given{Opt: o, Word: name})
				continue
			}
			g := given{Opt: o, Word: name, Arg: word[j+1:]}
			if g.Arg == "" {
				if g.Arg, err = next(o, name); err != nil {
					return nil, nil, err
				}
			}
			opts = append(opts, g)
			break
		}
	}
	return opts, operands, nil
}

func findShort(table []option, c byte) *option {
	for i := range table {
		if table[i].Short == c {
			return &table[i]
		}
	}
	return nil
}

// findLong finds a long option by its name or by an abbreviation that is no
// other's. Words of dracut 059 are abbreviated among themselves first, so that
// an abbreviation which was good then is good still.
func findLong(table []option, compat, name string) (*option, string, error) {
	if name == "" {
		return nil, "", usagef("unknown option --")
	}
	for i := range table {
		if slices.Contains(table[i].Long, name) {
			return &table[i], name, nil
		}
	}
	for _, ng := range []bool{compat == "ng", true} {
		var found *option
		var full []string
		for i := range table {
			if table[i].Ours || table[i].Ng && !ng {
				continue
			}
			for _, l := range table[i].Long {
				if strings.HasPrefix(l, name) {
					found, full = &table[i], append(full, l)
				}
			}
		}
		switch {
		case len(full) == 1:
			return found, full[0], nil
		case len(full) > 1:
			return nil, "", usagef("option --%s is ambiguous: it may be --%s", name, strings.Join(full, " or --"))
		}
	}
	return nil, "", usagef("unknown option --%s", name)
}

// UsageError is an error of the command line.
type UsageError struct{ err error }

func (e UsageError) Error() string { return e.err.Error() }
func (e UsageError) Unwrap() error { return e.err }

func usagef(format string, a ...any) error { return UsageError{fmt.Errorf(format, a...)} }
