package main

import (
	"context"
	"fmt"
	"io"

	"bareroot/internal/bootset"
	"bareroot/internal/build"
)

// explainBuild prints what a build would put in.
func explainBuild(ctx context.Context, e *env, o build.Options, asJSON bool) error {
	files, notices, err := build.Explain(ctx, o)
	if err != nil {
		return err
	}
	notices = append(notices, lineNotices(&o)...)
	return show(e, asJSON, map[string]any{"files": files, "notices": list(notices)}, func(w io.Writer) {
		writeFiles(w, files)
		for _, n := range notices {
			fmt.Fprintf(w, "notice: %s\n", n)
		}
	})
}

// alike is what links or folders have in common that are in for one reason.
type alike struct{ segment, mode, why, target string }

// fewest is how many are one line.
const fewest = 5

// writeFiles prints a line a file; links to one program, as busybox has
// hundreds, and folders that only hold other files are a line together, in the
// place of the first.
func writeFiles(w io.Writer, files []bootset.File) {
	kind := func(f bootset.File) (alike, bool) {
		switch {
		case f.Mode == "symlink":
			return alike{f.Segment, f.Mode, f.Why, f.Source}, true
		case f.Mode == "directory" && f.Why == "folder":
			return alike{f.Segment, f.Mode, f.Why, ""}, true
		}
		return alike{}, false
	}
	count := map[alike]int{}
	for _, f := range files {
		if k, ok := kind(f); ok {
			count[k]++
		}
	}
	for _, f := range files {
		k, ok := kind(f)
		switch n := count[k]; {
		case !ok || n > 0 && n < fewest:
			writeWhy(w, f)
		case n == 0: // they had their line
		case f.Mode == "symlink":
			fmt.Fprintf(w, "%s  %s  -  %d links to %s: %s (--json lists them)\n", clean(f.Segment), f.Mode, n, clean(f.Source), clean(f.Why))
			count[k] = 0
		default:
			fmt.Fprintf(w, "%s  %s  -  %d folders for other files (--json lists them)\n", clean(f.Segment), f.Mode, n)
			count[k] = 0
		}
	}
}
