package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPackages: what doctor misses is what ./demo installs.
func TestPackages(t *testing.T) {
	b, err := os.ReadFile("../../scripts/packages")
	if err != nil {
		t.Fatal(err)
	}
	lab := regexp.MustCompile(`\[lab\]="([^"]*)"`).FindStringSubmatch(string(b))
	if lab == nil {
		t.Fatal("scripts/packages has no group lab")
	}
	installed := strings.Fields(lab[1])
	for _, n := range needs {
		if !slices.Contains(installed, n.pkg) {
			t.Errorf("doctor asks for %s, and scripts/packages does not install it", n.pkg)
		}
	}
}
