// Package version says which build this program is. The Makefile stamps all
// three programs of one build with the same id, so that a ramdisk never mixes
// an init and an agent of different builds.
package version

import (
	"bytes"
	"fmt"
	"os"
)

// Version is the release, for people.
const Version = "0.1.0"

// stamp is set at link time: -X bareroot/internal/version.stamp=bareroot-build-id=HEX;
// (the trailing semicolon is part of it).
var stamp = ""

const (
	mark = "bareroot-build-id="
	end  = ";"
)

// ID is the build id, or "dev" for a program built without the Makefile.
func ID() string {
	if id := find([]byte(stamp)); id != "" {
		return id
	}
	return "dev"
}

// find returns the first build id in b: mark, 8 to 64 hex digits, end.
func find(b []byte) string {
	for {
		_, after, ok := bytes.Cut(b, []byte(mark))
		if !ok {
			return ""
		}
		if id, _, ok := bytes.Cut(after[:min(len(after), 64+len(end))], []byte(end)); ok && len(id) >= 8 && len(bytes.Trim(id, "0123456789abcdef")) == 0 {
			return string(id)
		}
		b = after
	}
}

// String is what "version" prints.
func String() string { return fmt.Sprintf("%s (build %s)", Version, ID()) }

// OfFile reads the build id out of a program without running it, so that a
// program for another architecture can be checked too.
func OfFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read build id: %w", err)
	}
	return OfContent(b, path)
}

// OfContent is OfFile for a program that was read already.
func OfContent(b []byte, path string) (string, error) {
	if id := find(b); id != "" {
		return id, nil
	}
	return "", fmt.Errorf("read build id: %s carries none; build it with make", path)
}
