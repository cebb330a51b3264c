package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPeerFiles: a program comes with its loader and with the libraries of its
// libraries, by names that do not collide.
func TestPeerFiles(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatalf("%v: scripts/packages check", err)
	}
	files, loader, err := peerFiles([]string{curl})
	if err != nil {
		t.Fatal(err)
	}
	if files["bin/curl"] != curl || loader == "" || files["lib/"+loader] == "" {
		t.Errorf("loader %q, %v", loader, files)
	}
	// curl itself names libcurl and libc; libcurl names libraries of TLS.
	for _, name := range []string{"lib/libc.so.6", "lib/libcurl*", "lib/libssl*"} {
		found := false
		for f := range files {
			if ok, _ := filepath.Match(name, f); ok {
				found = true
			}
		}
		if !found {
			t.Errorf("%s is missing: %v", name, files)
		}
	}
	if _, _, err := peerFiles([]string{"/etc/passwd"}); err == nil {
		t.Error("a file that is no program was taken")
	}
}

func TestGuestAddr(t *testing.T) {
	if got := guestAddr("10.77.0.1"); got != "10.77.0.77" {
		t.Error(got)
	}
}
