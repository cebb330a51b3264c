// Package rdconftest reads the ramdisk's configuration for tests, as init finds it.
package rdconftest

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"bareroot/internal/cpio"
	"bareroot/internal/rdconf"
)

// InSegment is the configuration in a machine's own segment.
func InSegment(t testing.TB, segment []byte) rdconf.Config {
	t.Helper()
	for r := cpio.NewReader(bytes.NewReader(segment)); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("no %s in the segment: %v", rdconf.Path, err)
		}
		if h.Name != strings.TrimPrefix(rdconf.Path, "/") {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := rdconf.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}
