package build

import (
	"bytes"
	"slices"
)

// reserved are names that bareroot-init answers to itself.
var reserved = [...]string{"init", "linuxrc", "modprobe", "depmod", "busybox"}

// applets reads the names of busybox's applets out of the program, so that it
// need not run (it may be for another architecture).
func applets(busybox []byte) []string {
	_, names := findApplets(busybox)
	return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(reserved[:], n) })
}

// findApplets finds the table of busybox's applets: sorted strings that begin with
// "[" and "[[", and one of which is "sh". Without one there are no names.
func findApplets(busybox []byte) (at int, names []string) {
	start := []byte("\x00[\x00[[\x00")
	for {
		next := bytes.Index(busybox[at:], start)
		if next < 0 {
			return 0, nil
		}
		at += next + 1
		if names = appletTable(busybox[at:]); slices.Contains(names, "sh") {
			return at, names
		}
	}
}

// hideApplets takes names out of busybox, so that its shell, which runs its
// own applets whatever PATH says, finds the programs of these names. Where a
// name is in the table, its last byte becomes one that nobody types.
func hideApplets(busybox []byte, names map[string]bool) {
	at, table := findApplets(busybox)
	for _, name := range table {
		at += len(name)
		if names[name] {
			busybox[at-1] = 0x7f
		}
		at++
	}
}

func appletTable(b []byte) (names []string) {
	last := ""
	for {
		word, rest, ok := bytes.Cut(b, []byte{0})
		name := string(word)
		if !ok || len(name) > 32 || name <= last || !appletName(name) {
			return names
		}
		names = append(names, name)
		last, b = name, rest
	}
}

func appletName(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '[':
		default:
			return false
		}
	}
	return s != "" && s != "." && s != ".."
}
