package assemble

import (
	"io"
	"strings"
	"testing"

	"bareroot/internal/run/console"
)

// A program that says much has its reason at the end.
func TestRunReason(t *testing.T) {
	r := console.NewReaper()
	defer r.Stop()
	lines, err := run(t.Context(), r, console.NewLog(io.Discard), "/bin/sh", []string{"sh", "-c", `seq 150; echo "the reason"; exit 3`}, nil, "")
	if err == nil || !strings.HasSuffix(err.Error(), "exit code 3: 150; the reason") {
		t.Errorf("%v", err)
	}
	if len(lines) != 100 || lines[0] != "52" {
		t.Errorf("%d lines, the first %q", len(lines), lines[0])
	}
}
