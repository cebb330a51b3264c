package main

import (
	"fmt"
	"slices"
	"strings"
)

// findings are lines of a boot's logs that people overlook. What is between
// before and after is quoted.
var findings = []struct{ has, means string }{
	{"Direct firmware load for ", "the kernel did not find a firmware file; add it to the ramdisk (bareroot build --firmware)"},
	{"unable to read superblock", "the filesystem could not be read: the device was not complete when it was mounted, or it is damaged"},
	{"bad superblock", "the filesystem is damaged, or of another type than rootfstype= says"},
	{"I/O error, dev ", "a disk does not read or write: its cable, its controller, or the disk itself"},
	{"blk_update_request: I/O error", "a disk does not read or write: its cable, its controller, or the disk itself"},
	{"Unknown symbol", "a module does not fit this kernel: the ramdisk was built for another one"},
	{"module verification failed", "a module is not signed by a key of this kernel"},
	{"Loading of unsigned module is rejected", "secure boot keeps an unsigned module out"},
	{"Out of memory: Killed process", "the machine ran out of memory in the ramdisk"},
	{"No space left on device", "a filesystem in memory is full: the machine has too little memory for this ramdisk"},
	{"soft lockup", "the kernel was stuck for many seconds"},
	{"dracut-initqueue timeout", "dracut gave up waiting: what it waited for is in the lines before this one"},
	{"Could not boot", "dracut gave up waiting for the root"},
	{"Can't mount root filesystem", "the root's device was there, but could not be mounted"},
	{"No or empty root= argument", "the command line names no root"},
	{"Don't know how to handle 'root=", "no part of the ramdisk understands this root=: a module is missing in it"},
	{"does not exist", ""},
	{"NIC Link is Down", "a network cable is out, or the port is off"},
	{"Incorrect passphrase", "the passphrase of a disk was wrong"},
	{"No key available with this passphrase", "the passphrase of a disk was wrong"},
	{"not clean", "an array was not shut down cleanly"},
	{"cannot start dirty degraded array", "an array lacks a disk and was not shut down cleanly; mdadm --run starts it"},
	{"Not enough memory", "the machine has too little memory for this root"},
}

// maxFindings bounds what is said of one report.
const maxFindings = 12

// judge looks through the logs.
func (r *bootReport) judge(text string) {
	seen := map[string]bool{}
	for _, f := range findings {
		for _, l := range strings.Split(text, "\n") {
			if !strings.Contains(l, f.has) || strings.HasPrefix(l, "+ ") {
				continue
			}
			l = strings.TrimSpace(withoutTime(l))
			say := l
			if f.means != "" {
				say = fmt.Sprintf("%s (%s)", f.means, l)
				if seen[f.means] {
					break
				}
				seen[f.means] = true
			} else if !strings.Contains(l, "Warning: ") || seen[l] {
				continue
			}
			seen[l] = true
			if len(r.Findings) < maxFindings {
				r.Findings = append(r.Findings, say)
			}
			if f.means != "" {
				break
			}
		}
	}
	if r.Program != "dracut" {
		return
	}
	// dracut says why it stopped in its log only.
	for _, l := range strings.Split(text, "\n") {
		for _, mark := range []string{"FATAL: ", "Could not boot", "Can't mount root filesystem", "dracut: Refusing to continue"} {
			if l = withoutTime(l); strings.Contains(l, mark) && !slices.Contains(r.Failed, strings.TrimSpace(l)) {
				r.Failed = append(r.Failed, strings.TrimSpace(l))
			}
		}
	}
	if len(r.Failed) == 0 {
		r.Failed = []string{"the report does not say it in words; see what the logs show, or the log's end"}
	}
}

// withoutTime cuts the kernel's time off a line.
func withoutTime(l string) string {
	if rest, ok := strings.CutPrefix(l, "["); ok {
		if t, text, ok := strings.Cut(rest, "]"); ok && strings.Trim(t, " .0123456789") == "" {
			return strings.TrimSpace(text)
		}
	}
	return l
}
