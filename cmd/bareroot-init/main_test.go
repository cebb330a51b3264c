package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What init may weigh, stripped.
const maxSize = 8 << 20

func TestSize(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "init")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	fi, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %.2f of %d MiB", fi.Size(), float64(fi.Size())/(1<<20), maxSize>>20)
	if fi.Size() > maxSize {
		t.Errorf("bareroot-init is %d bytes, more than %d", fi.Size(), maxSize)
	}
}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	forbidden := []string{"spf13/cobra", "go.yaml.in", "gopkg.in/yaml", "database/sql", "modernc.org/sqlite", "text/template", "html/template", "danielgtaylor/huma", "gofish",
		"bareroot/internal/run/agent", "bareroot/internal/run/role", "bareroot/internal/run/dialect", "bareroot/internal/serve", "bareroot/internal/build", "bareroot/internal/lab"}
	for _, dep := range strings.Fields(string(out)) {
		for _, f := range forbidden {
			if strings.Contains(dep, f) {
				t.Errorf("bareroot-init links %s", dep)
			}
		}
	}
}
