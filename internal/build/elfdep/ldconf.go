package elfdep

import (
	"path"
	"slices"
	"strings"
)

// Bounds of /etc/ld.so.conf, which may include itself.
const (
	maxConfFiles = 256
	maxConfSize  = 1 << 20
)

// confLine is one line of ld.so.conf that means something.
type confLine struct {
	dir     string
	include []string // patterns
}

// parseConf reads ld.so.conf the way ldconfig(8) does: a folder a line, perhaps
// with "=TYPE" after it, "include PATTERN ...", comments; "hwcap" is history.
func parseConf(text []byte) []confLine {
	var out []confLine
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "hwcap":
		case words[0] == "include":
			if len(words) > 1 {
				out = append(out, confLine{include: words[1:]})
			}
		default:
			if i := strings.LastIndexByte(line, '='); i >= 0 {
				line = strings.TrimSpace(line[:i])
			}
			if strings.HasPrefix(line, "/") && !strings.Contains(line, "\x00") {
				out = append(out, confLine{dir: line})
			}
		}
	}
	return out
}

// confDirs are the folders of the sysroot's ld.so.conf, in order. A file that
// cannot be read adds none, as with ldconfig.
func (t *tree) confDirs() []string {
	var dirs []string
	seen := map[string]bool{}
	var read func(file string)
	read = func(file string) {
		pl, err := t.resolve(file)
		if err != nil || seen[pl.real] || len(seen) >= maxConfFiles {
			return
		}
		seen[pl.real] = true
		text, err := t.read(pl.real, maxConfSize)
		if err != nil {
			return
		}
		for _, l := range parseConf(text) {
			if l.dir != "" && !slices.Contains(dirs, l.dir) {
				dirs = append(dirs, l.dir)
			}
			for _, p := range l.include {
				if !strings.HasPrefix(p, "/") {
					p = path.Join(path.Dir(file), p)
				}
				for _, f := range t.glob(p) {
					read(f)
				}
			}
		}
	}
	read("etc/ld.so.conf")
	return dirs
}

// muslDirs are the folders of /etc/ld-musl-ARCH.path, or musl's own. The loader
// of another prefix (/opt/x/lib/ld-musl-...) reads the file below that.
func (t *tree) muslDirs(loader string) []string {
	prefix, arch, _ := cutMusl(loader)
	text, err := t.read(prefix+"/etc/ld-musl-"+arch+".path", maxConfSize)
	if err != nil {
		return []string{"/lib", "/usr/local/lib", "/usr/lib"}
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == ':' || r == '\n' })
}

// cutMusl takes PREFIX and ARCH out of PREFIX/lib/ld-musl-ARCH.so.1.
func cutMusl(loader string) (prefix, arch string, ok bool) {
	prefix, arch, ok = strings.Cut(path.Clean("/"+loader), "/lib/ld-musl-")
	if !ok || strings.Contains(arch, "/") {
		return "", "", false
	}
	arch, _, _ = strings.Cut(arch, ".so")
	return prefix, arch, true
}

// muslOwn says whether musl's loader is itself the library of that name.
func muslOwn(name string) bool {
	rest, ok := strings.CutPrefix(name, "lib")
	if !ok {
		return false
	}
	word, _, ok := strings.Cut(rest, ".")
	return ok && slices.Contains([]string{"c", "pthread", "rt", "m", "dl", "util", "xnet"}, word)
}
