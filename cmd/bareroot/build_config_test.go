package main

import (
	"errors"
	"testing"
)

// TestBlame: the setting that an error is about, not one whose value happens to
// be a part of some other word.
func TestBlame(t *testing.T) {
	from := []setting{
		{"role", "b.yaml:1", []string{"root"}}, {"sysroot", "b.yaml:2", []string{"/srv/root"}}, {"compress", "b.yaml:3", []string{"brotli"}},
		{"add-feature", "b.yaml:4", []string{"ssh", "sshd"}},
	}
	for text, want := range map[string]string{
		`open /srv/root/usr/lib/modules: no such file`: "b.yaml:2: ",
		`open /root/x: permission denied`:              "",
		`--compress "brotli": it is one of zstd`:       "b.yaml:3: ",
		`feature sshd: no such feature`:                "b.yaml:4: ",
		`--include /root /x: it is not there`:          "",
		`role root: unknown`:                           "b.yaml:1: ",
		`the chroot is not one`:                        "",
	} {
		if got := blame(from, errors.New(text)).Error(); got != want+text {
			t.Errorf("%q, want %q", got, want+text)
		}
	}
}
