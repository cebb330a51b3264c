package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// accounts adds the lines of the users that features run programs as.
func (r *recipe) accounts(o *Options) error {
	var users []string
	for _, w := range r.features {
		users = append(users, w.Users...)
	}
	if len(users) == 0 {
		return nil
	}
	lines := func(name string, want []string) (out []string, err error) {
		real, err := within(o.Sysroot, name)
		if err != nil {
			return nil, inputError{err}
		}
		b, err := os.ReadFile(real)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, inputError{fmt.Errorf("read users: %w", err)}
		}
		for line := range strings.Lines(string(b)) {
			if user, _, _ := strings.Cut(line, ":"); slices.Contains(want, user) {
				out = append(out, strings.TrimSpace(line))
			}
		}
		return out, nil
	}
	passwd, err := lines("etc/passwd", users)
	if err != nil {
		return err
	}
	var gids []string
	for i, line := range passwd {
		if f := strings.Split(line, ":"); len(f) == 7 {
			f[1] = "*" // no passwords in a ramdisk
			passwd[i] = strings.Join(f, ":")
			gids = append(gids, f[3])
		}
	}
	real, err := within(o.Sysroot, "etc/group")
	if err != nil {
		return inputError{err}
	}
	b, _ := os.ReadFile(real) // without it the number stands alone
	var group []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 4 && slices.Contains(gids, f[2]) && f[2] != "65534" && f[2] != "0" {
			group = append(group, f[0]+":x:"+f[2]+":")
		}
	}
	for i := range r.skeleton {
		it := &r.skeleton[i]
		switch it.Path {
		case "etc/passwd":
			it.Data = append(it.Data, strings.Join(append(passwd, ""), "\n")...)
		case "etc/group":
			it.Data = append(it.Data, strings.Join(append(group, ""), "\n")...)
		}
	}
	return nil
}
