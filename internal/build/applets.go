package build

import (
	"bytes"
	"slices"
)

// reserved are names that bareroot-init answers to itself.
var reserved = [...]string{"init", "linuxrc", "modprobe", "depmod", "busybox"}

// applets reads the names of busybox's applets out of the program, so that it
// need not run (it may be for another architecture): they are a sorted table of
// strings that begins with "[" and "[[".
func applets(busybox []byte) []string {
	start := []byte("\x00[\x00[[\x00")
	for at := bytes.Index(busybox, start); at >= 0; {
		if names := appletTable(busybox[at+1:]); slices.Contains(names, "sh") {
			return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(reserved[:], n) })
		}
		next := bytes.Index(busybox[at+1:], start)
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return nil
}

// hideApplets takes names out of busybox, so that its shell, which runs its
// own applets whatever PATH says, finds the programs of these names. Where a
// name is in the table, its last byte becomes one that nobody types.
func hideApplets(busybox []byte, names map[string]bool) {
	start := []byte("\x00[\x00[[\x00")
	for at := bytes.Index(busybox, start); at >= 0; {
		table := appletTable(busybox[at+1:])
		if slices.Contains(table, "sh") {
			for pos := at + 1; len(table) > 0; table = table[1:] {
				pos += len(table[0])
				if names[table[0]] {
					busybox[pos-1] = 0x7f
				}
				pos++
			}
			return
		}
		next := bytes.Index(busybox[at+1:], start)
		if next < 0 {
			break
		}
		at += 1 + next
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
