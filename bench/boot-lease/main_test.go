package main

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLines: what is read out of a console, and what ends a boot early.
func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		console string
		want    []string // the line's two times; nil for a boot that failed
	}{
		"lease":        {"[    2.031] bareroot: eth0 is up\r\n[    2.913] bareroot: lease 10.0.2.15 on eth0 0.382 s after start\r\n", []string{"2.913", "0.382"}},
		"a fixed name": {"[   11.5] bareroot: lease 10.0.2.15/24 on enp0s2 1.20 s after start (renewed every 12h)\n", []string{"11.5", "1.20"}},
		"panic":        {"[    1.2] Kernel panic - not syncing\r\n", nil},
		"failed":       {"[    9.1] bareroot: this boot failed in stage initqueue\r\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := regexp.MustCompile(leased.String() + "|" + failed.String()).FindStringSubmatch(c.console)
			if m == nil {
				t.Fatal("nothing was seen")
			}
			var got []string
			if m[2] != "" {
				got = m[1:3]
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
