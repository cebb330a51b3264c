package dracut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// bashScript sources the files that are its arguments and prints the variables
// that are set, of those in the environment variable below, on descriptor 3.
// What the files themselves print goes to standard error.
const bashScript = `__bareroot_files=("$@")
set --
for __bareroot_f in "${__bareroot_files[@]}"; do . "$__bareroot_f"; done 1>&2
for __bareroot_f in $__BAREROOT_VARS; do
  [[ ${!__bareroot_f+x} || $(declare -p "$__bareroot_f" 2>/dev/null) == declare\ -a* ]] && declare -p "$__bareroot_f" >&3
done
printf 'end\n' >&3
`

// source lets one bash read the files, in their order. what is the first file
// that needs it and why, for the error if there is no bash.
func source(ctx context.Context, files, names []string, vars map[string]string, what error, stderr io.Writer) (Vars, error) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		return nil, fmt.Errorf("%w: bash is needed to read it and is not installed", what)
	}
	for _, f := range files {
		if err := trusted(f); err != nil {
			return nil, fmt.Errorf("%w: bash is needed to read the configuration, and it would run %s, which %w", what, f, err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, bash, append([]string{"--norc", "--noprofile", "-p", "-c", bashScript, "bash"}, files...)...)
	cmd.Stderr = stderr
	cmd.ExtraFiles = []*os.File{w}
	for _, e := range os.Environ() {
		// dracut drops these, too: they would change what its shell does.
		if name, _, _ := strings.Cut(e, "="); name != "BASH_ENV" && name != "ENV" && name != "LD_PRELOAD" {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C", "__BAREROOT_VARS="+strings.Join(names, " "))
	for name, v := range vars {
		cmd.Env = append(cmd.Env, name+"="+v)
	}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("read the configuration with bash: %w", err)
	}
	w.Close()
	out, readErr := io.ReadAll(io.LimitReader(r, 16<<20))
	err = cmd.Wait()
	all, complete := bytes.CutSuffix(out, []byte("end\n"))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !complete:
		// exit in a file, or a file that kills its shell.
		return nil, fmt.Errorf("read the configuration with bash: it ended before all of %s were read: %w", strings.Join(files, ", "), errors.Join(err, readErr))
	}
	return parseDeclare(string(all), stringSet(names))
}

// trusted says why a file is not to be run: whoever may write it would be who
// builds the ramdisk.
func trusted(name string) error {
	fi, err := os.Stat(name)
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.New("has no owner")
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("belongs to user %d and not to root", st.Uid)
	case fi.Mode().Perm()&0o002 != 0:
		return errors.New("anyone may write")
	}
	return nil
}

func stringSet(words []string) map[string]bool {
	m := map[string]bool{}
	for _, w := range words {
		m[w] = true
	}
	return m
}

// parseDeclare reads what bash's "declare -p" prints: declare -FLAGS NAME,
// NAME="text" or NAME=([0]="text" ...).
func parseDeclare(text string, known map[string]bool) (Vars, error) {
	vars := Vars{}
	s := &scanner{in: text}
	for {
		s.skipBlank(true)
		if s.done() {
			return vars, nil
		}
		rest, ok := strings.CutPrefix(s.in[s.pos:], "declare -")
		if !ok {
			return nil, fmt.Errorf("bash printed %.40q, which is no declaration", s.in[s.pos:])
		}
		s.pos = len(s.in) - len(rest)
		flags := s.pos
		for !s.done() && s.peek() != ' ' {
			s.pos++
		}
		array := strings.ContainsAny(s.in[flags:s.pos], "aA")
		s.skipBlank(false)
		start := s.pos
		for !s.done() && isName(s.peek(), s.pos > start) {
			s.pos++
		}
		name := s.in[start:s.pos]
		if !known[name] {
			return nil, fmt.Errorf("bash printed the variable %q, which was not asked for", name)
		}
		if s.peek() != '=' { // declared and not set
			continue
		}
		s.pos++
		value := Value{Array: array}
		if !array {
			w, err := s.declared()
			if err != nil {
				return nil, fmt.Errorf("read variable %s from bash: %w", name, err)
			}
			value.Items = []string{w}
		} else if err := s.declaredArray(&value); err != nil {
			return nil, fmt.Errorf("read array %s from bash: %w", name, err)
		}
		vars[name] = value
	}
}

func (s *scanner) declaredArray(v *Value) error {
	if s.peek() != '(' {
		return errors.New("no parenthesis")
	}
	s.pos++
	for {
		s.skipBlank(true)
		switch s.peek() {
		case ')':
			s.pos++
			return nil
		case '[':
			end := strings.Index(s.in[s.pos:], "]=")
			if end < 0 {
				return errors.New("an index does not end")
			}
			s.pos += end + 2
			w, err := s.declared()
			if err != nil {
				return err
			}
			v.Items = append(v.Items, w)
		default:
			return errors.New("an item has no index")
		}
	}
}

// declared is "text" or $'text'.
func (s *scanner) declared() (string, error) {
	if strings.HasPrefix(s.in[s.pos:], "$'") {
		return s.ansi()
	}
	if s.peek() != '"' {
		return "", errors.New("no quote")
	}
	// Bash has escaped what a shell would expand, so nothing is left to expand.
	var b strings.Builder
	err := s.double(&b)
	return b.String(), err
}

// ansi reads $'...', by which bash writes a text with control characters.
func (s *scanner) ansi() (string, error) {
	const plain = `abeEfnrtv\'"?`
	const means = "\a\b\x1b\x1b\f\n\r\t\v\\'\"?"
	var b strings.Builder
	for s.pos += 2; !s.done(); s.pos++ {
		c := s.in[s.pos]
		switch {
		case c == '\'':
			s.pos++
			return b.String(), nil
		case c != '\\':
			b.WriteByte(c)
			continue
		}
		s.pos++
		rest := s.in[min(s.pos, len(s.in)):]
		if rest == "" {
			break
		}
		if i := strings.IndexByte(plain, rest[0]); i >= 0 {
			b.WriteByte(means[i])
			continue
		}
		digits, base := rest[:min(3, len(rest))], 8
		if rest[0] == 'x' {
			digits, base = rest[1:min(3, len(rest))], 16
		}
		n, err := strconv.ParseUint(digits, base, 8)
		if err != nil {
			return "", fmt.Errorf("escape \\%.3s: %w", rest, err)
		}
		b.WriteByte(byte(n))
		s.pos += len(digits) - 1
		if base == 16 {
			s.pos++
		}
	}
	return "", errors.New("a quote is not closed")
}
