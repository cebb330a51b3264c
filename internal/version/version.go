// Package version says which build this program is. The Makefile stamps all
// three programs of one build with the same id, so that a ramdisk never mixes
// an init and an agent of different builds.
package version

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
)

// Version is the release, for people.
const Version = "0.1.0"

// stamp is set at link time: -X bareroot/internal/version.stamp=bareroot-build-id=HEX;
// (the trailing semicolon is part of it).
var stamp = ""

var pattern = regexp.MustCompile(`bareroot-build-id=([0-9a-f]{8,64});`)

// ID is the build id, or "dev" for a program built without the Makefile.
func ID() string {
	if m := pattern.FindStringSubmatch(stamp); m != nil {
		return m[1]
	}
	return "dev"
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
	for _, m := range pattern.FindAllSubmatch(b, -1) {
		if !bytes.Equal(m[1], nil) {
			return string(m[1]), nil
		}
	}
	return "", fmt.Errorf("read build id: %s carries none; build it with make", path)
}
