package boot

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestNodeOf(t *testing.T) {
	for text, want := range map[string]struct {
		name   string
		perm   uint32
		number uint64
		ok     bool
	}{
		"MAJOR=1\nMINOR=3\nDEVNAME=null\nDEVMODE=0666\n":     {"null", 0o666, unix.Mkdev(1, 3), true},
		"MAJOR=5\nMINOR=1\nDEVNAME=console":                  {"console", 0o600, unix.Mkdev(5, 1), true},
		"MAJOR=13\nMINOR=63\nDEVNAME=input/mice\n":           {"input/mice", 0o600, unix.Mkdev(13, 63), true},
		"MAJOR=259\nMINOR=1048575\nDEVNAME=nvme0n1p1\nX=y\n": {"nvme0n1p1", 0o600, unix.Mkdev(259, 1048575), true},
		"MAJOR=10\nMINOR=1\n":                                {},
		"MAJOR=x\nMINOR=1\nDEVNAME=a\n":                      {},
		"MAJOR=1\nMINOR=1\nDEVNAME=../etc/passwd\n":          {},
		"MAJOR=1\nMINOR=1\nDEVNAME=a\nDEVMODE=rw\n":          {},
		"": {},
	} {
		name, perm, number, ok := nodeOf(text)
		if name != want.name || perm != want.perm || number != want.number || ok != want.ok {
			t.Errorf("%q: %s %o %#x %v, want %v", text, name, perm, number, ok, want)
		}
	}
}

func FuzzNodeOf(f *testing.F) {
	f.Add("MAJOR=1\nMINOR=3\nDEVNAME=null\nDEVMODE=0666\n")
	f.Add("DEVNAME=../x\nMAJOR=5\nMINOR=1\n")
	f.Fuzz(func(t *testing.T, text string) {
		name, perm, _, ok := nodeOf(text)
		if ok && (name == "" || name[0] == '/' || perm > 0o7777) {
			t.Errorf("%q: %q %o", text, name, perm)
		}
	})
}
