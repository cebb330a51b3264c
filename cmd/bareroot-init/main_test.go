package main

import (
	"os/exec"
	"strings"
	"testing"
)

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
