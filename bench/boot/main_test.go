package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// TestSaid: what is read out of a console, and what ends a boot early.
func TestSaid(t *testing.T) {
	for name, c := range map[string]struct {
		console string
		want    result
		err     string // "" for a marker
	}{
		"marker":          {"[    2.5] EXT4-fs\r\n\r\nBENCH-MARKER boot=2.598120 init=1.969100 free=420352 modules=12\r\n", result{2.59812, 1.9691, 420352, 12}, ""},
		"panic":           {"[    1.2] Kernel panic - not syncing: VFS\r\n", result{}, "Kernel panic - not syncing: VFS"},
		"bareroot":        {"[    9.1] bareroot: this boot failed in stage initqueue\r\n", result{}, "this boot failed in stage initqueue"},
		"dracut":          {"x\nEntering emergency mode. Exit the shell to continue.\n", result{}, "Entering emergency mode. Exit the shell to continue."},
		"initramfs-tools": {"ALERT!  /dev/vda does not exist.  Dropping to a shell!\n", result{}, "ALERT!  /dev/vda does not exist.  Dropping to a shell!"},
		"a huge number":   {"BENCH-MARKER boot=1.0 init=1.0 free=99999999999999999999 modules=1\n", result{}, "read \"BENCH"},
	} {
		t.Run(name, func(t *testing.T) {
			m := said.FindStringSubmatch(c.console)
			if m == nil {
				t.Fatal("nothing was seen")
			}
			got, err := parse(m)
			if (err == nil) != (c.err == "") || err != nil && !strings.HasPrefix(err.Error(), c.err) {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			if c.err == "" && got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
	for _, line := range []string{"", "BENCH-MARKER boot=1.0", "[ 1.0] systemd[1]: Reached target emergency.target", "Run /init as init process"} {
		if m := said.FindStringSubmatch(line); m != nil {
			t.Errorf("%q ends a boot: %q", line, m[0])
		}
	}
}

func TestParseImage(t *testing.T) {
	for arg, want := range map[string]image{
		"minimal:booster=/tmp/b.img":    {group: "minimal", name: "booster", file: "/tmp/b.img"},
		"generic:dracut 059=/tmp/a=b:c": {group: "generic", name: "dracut 059", file: "/tmp/a=b:c"},
		"":                              {}, "minimal": {}, "minimal:booster": {}, "booster=/tmp/b.img": {}, ":a=b": {}, "g:=b": {}, "g:a=": {},
	} {
		got, err := parseImage(arg)
		if (err == nil) != (want.group != "") {
			t.Errorf("%q: %v", arg, err)
		}
		if err == nil && (got.group != want.group || got.name != want.name || got.file != want.file) {
			t.Errorf("%q: %+v", arg, got)
		}
	}
}

// TestTable: a peer's ratio is to bareroot's of its group; what failed or did
// not run says so and has no figure.
func TestTable(t *testing.T) {
	two := [2][]float64{{2, 2.2, 2.1}, {8}}
	images := []*image{
		{group: "minimal", name: "bareroot", mib: 4.7, marker: two, user: two, free: []float64{400}, modules: 13, least: 144},
		{group: "minimal", name: "slow", mib: 9, marker: [2][]float64{{4.2}, nil}, user: [2][]float64{{1}, nil}, free: []float64{390}, modules: 12},
		{group: "generic", name: "lonely", marker: [2][]float64{{5}, nil}, user: two},
		{group: "minimal", name: "broken", err: errors.New("no marker")},
		{group: "minimal", name: "never run"},
	}
	text := stdout(t, func() { table(images) })
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "minimal   bareroot"):
			if f[3] != "2.100" || !strings.Contains(line, "[2.000-2.200]") || f[len(f)-1] != "144" || f[len(f)-2] != "13" {
				t.Errorf("ours: %q", line)
			}
		case strings.HasPrefix(line, "minimal   slow"):
			if !strings.Contains(line, " 0.50 ") {
				t.Errorf("half of the other: %q", line)
			}
		case strings.HasPrefix(line, "minimal   broken"):
			if !strings.HasSuffix(line, "not measured: no marker\n") {
				t.Errorf("failed: %q", line)
			}
		case strings.HasPrefix(line, "minimal   never run"):
			if !strings.HasSuffix(line, "not measured: interrupted\n") {
				t.Errorf("not run: %q", line)
			}
		}
	}
	if n := strings.Count(text, "\nminimal ") + strings.Count(text, "\ngeneric "); n != len(images) {
		t.Errorf("%d lines:\n%s", n, text)
	}
}

// stdout is what f prints.
func stdout(t *testing.T, f func()) string {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdout
	os.Stdout = w
	var b bytes.Buffer
	read := make(chan error)
	go func() { _, err := io.Copy(&b, r); read <- err }()
	f()
	os.Stdout = old
	w.Close()
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	return b.String()
}
