package dracut

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Conf is what the configuration files say.
type Conf struct {
	Vars    Vars
	Files   []string // in the order in which they were read
	Notices []string
}

// ReadConf reads the configuration files that a command line means. What a file
// prints goes to stderr.
func ReadConf(ctx context.Context, a *Args, stderr io.Writer) (*Conf, error) {
	root := a.value("sysroot")
	files, err := confFiles(a, root)
	if err != nil {
		return nil, err
	}
	c := &Conf{Files: files}
	var names []string
	for _, v := range variables() {
		names = append(names, v.Name)
	}
	env := map[string]string{"dracutsysrootdir": root, "dracutbasedir": root + "/usr/lib/dracut", "kernel": a.kernel()}
	if c.Vars, err = c.eval(ctx, files, names, env, stderr); err != nil {
		return nil, err
	}
	for name := range c.Vars {
		if !slices.Contains(names, name) {
			delete(c.Vars, name)
		}
	}
	return c, c.mkinitrd(ctx, root, stderr)
}

// mkinitrd reads what mkinitrd's users have: MODULES="e1000 pcnet32" in
// /etc/sysconfig/mkinitrd.
func (c *Conf) mkinitrd(ctx context.Context, root string, stderr io.Writer) error {
	file := root + "/etc/sysconfig/mkinitrd"
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	vars, err := c.eval(ctx, []string{file}, []string{"MODULES"}, nil, stderr)
	if err != nil {
		return err
	}
	if mods := vars.list("MODULES"); len(mods) > 0 {
		c.Vars.set("add_drivers", " "+strings.Join(mods, " ")+" ", true)
		c.Notices = append(c.Notices, fmt.Sprintf("%s: MODULES are added to add_drivers: %s", file, strings.Join(mods, " ")))
	}
	return nil
}

// eval reads the files here if all of them are plain, and by one bash if one is
// not: what a file does may depend on the ones before.
func (c *Conf) eval(ctx context.Context, files, names []string, env map[string]string, stderr io.Writer) (Vars, error) {
	vars := Vars{}
	var reason error
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		for _, l := range unblanked(string(b)) {
			c.Notices = append(c.Notices, fmt.Sprintf("%s: %s: a list that is added to needs blanks on both sides, or words grow together", f, l))
		}
		if err := assign(vars, string(b)); err != nil && reason == nil {
			reason = fmt.Errorf("read configuration %s: %w", f, err)
		}
	}
	if reason == nil {
		return vars, nil
	}
	return source(ctx, files, names, env, reason, stderr)
}

var addition = regexp.MustCompile(`(?m)^[^#\n]*?\b([A-Za-z_][A-Za-z_0-9]*)\+="([^"\n]+)"`)

// unblanked finds NAME+="x" without blanks around x.
func unblanked(text string) []string {
	var out []string
	for _, m := range addition.FindAllStringSubmatch(text, -1) {
		if v := m[2]; v[0] != ' ' || v[len(v)-1] != ' ' {
			out = append(out, m[1]+`+="`+v+`"`)
		}
	}
	return out
}

// kernel is the kernel version that the command line names.
func (a *Args) kernel() string {
	if v := a.value("kernel"); v != "" {
		return v
	}
	return a.Kver
}

// confFiles are the files to read, in order: dracut.conf, then *.conf of all
// folders sorted by name; of one name, the file of the first folder.
func confFiles(a *Args, root string) ([]string, error) {
	var files []string
	conf := a.value("conffile")
	switch fi, err := os.Stat(orElse(conf, root+"/etc/dracut.conf")); {
	case err == nil && !fi.IsDir():
		files = append(files, orElse(conf, root+"/etc/dracut.conf"))
	case conf != "":
		return nil, fmt.Errorf("configuration file %s: %w", conf, orErr(err, errors.New("is a folder")))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	confdir, vendor := a.value("confdir"), root+"/usr/lib/dracut/dracut.conf.d"
	if confdir != "" && !isDir(confdir) {
		return nil, fmt.Errorf("configuration folder %s is not there", confdir)
	}
	dirs := []string{orElse(confdir, root+"/etc/dracut.conf.d")}
	if more := a.value("add_confdir"); more != "" {
		tries := []string{more, filepath.Join(dirs[0], more), filepath.Join(vendor, more)}
		i := slices.IndexFunc(tries, isDir)
		if i < 0 {
			return nil, fmt.Errorf("--add-confdir %s: no such folder: looked for %s", more, strings.Join(tries, ", "))
		}
		dirs = append(dirs, tries[i])
	}
	dirs = append(dirs, vendor)
	if a.Compat == "ng" {
		dirs = append(dirs, root+"/run/initramfs/dracut.conf.d")
	}
	byName := map[string]string{}
	var names []string
	for _, d := range dirs {
		entries, err := os.ReadDir(d)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		for _, e := range entries {
			p := filepath.Join(d, e.Name())
			if !strings.HasSuffix(e.Name(), ".conf") || strings.HasPrefix(e.Name(), ".") || byName[e.Name()] != "" {
				continue
			}
			if fi, err := os.Stat(p); err != nil || fi.IsDir() {
				continue // a link to nowhere: another folder may have a file
			}
			byName[e.Name()] = p
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, compareNames)
	for _, n := range names {
		files = append(files, byName[n])
	}
	return files, nil
}

// compareNames orders file names as "sort -V" does: runs of digits by value,
// other bytes letters first; with the suffix only if they are equal without.
func compareNames(a, b string) int {
	return cmp.Or(compareVersions(strings.TrimSuffix(a, ".conf"), strings.TrimSuffix(b, ".conf")), compareVersions(a, b), strings.Compare(a, b))
}

func compareVersions(x, y string) int {
	for x != "" || y != "" {
		for x != "" && !isDigit(x[0]) || y != "" && !isDigit(y[0]) {
			if c := order(x) - order(y); c != 0 {
				return c
			}
			x, y = x[1:], y[1:]
		}
		i, j := len(x)-len(strings.TrimLeft(x, "0123456789")), len(y)-len(strings.TrimLeft(y, "0123456789"))
		m, n := strings.TrimLeft(x[:i], "0"), strings.TrimLeft(y[:j], "0")
		if len(m) != len(n) {
			return len(m) - len(n)
		}
		if c := strings.Compare(m, n); c != 0 {
			return c
		}
		x, y = x[i:], y[j:]
	}
	return 0
}

// order is a byte's place: the tilde, the end or a digit, letters, the rest.
func order(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case isName(s[0], false) && s[0] != '_':
		return int(s[0])
	}
	return int(s[0]) + 256
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isDir(p string) bool {
	fi, err := os.Stat(p)
	return err == nil && fi.IsDir()
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func orErr(err, other error) error {
	if err == nil {
		return other
	}
	return err
}
