package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/bootset"
)

// TestExplainFolds: what is many times the same is one line, where the first
// would be.
func TestExplainFolds(t *testing.T) {
	var files []bootset.File
	add := func(segment, mode, path, source, why string) {
		files = append(files, bootset.File{Segment: segment, Mode: mode, Path: path, Source: source, Why: why})
	}
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		add("userland", "symlink", "usr/bin/"+n, "busybox", "applet")
		add("modules", "directory", "lib/"+n, "", "folder")
		add("modules", "directory", "usr/"+n, "/src/"+n, "included")
	}
	add("userland", "symlink", "usr/bin/sh", "dash", "applet")
	add("tools", "symlink", "usr/bin/f", "busybox", "applet")
	for _, n := range []string{"1", "2"} {
		add("tools", "0755", "x"+n, "/x", "asked for")
	}
	var b strings.Builder
	writeFiles(&b, files)
	want := `userland  symlink  -  5 links to busybox: applet (--json lists them)
modules  directory  -  5 folders for other files (--json lists them)
modules  directory  -  usr/a: included (/src/a)
modules  directory  -  usr/b: included (/src/b)
modules  directory  -  usr/c: included (/src/c)
modules  directory  -  usr/d: included (/src/d)
modules  directory  -  usr/e: included (/src/e)
userland  symlink  -  usr/bin/sh: applet (link to dash)
tools  symlink  -  usr/bin/f: applet (link to busybox)
tools  0755  -  x1: asked for (/x)
tools  0755  -  x2: asked for (/x)
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
