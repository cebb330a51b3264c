package life

import (
	"path/filepath"
	"testing"

	"bareroot/internal/hosttool"
)

// helper builds the guests' helper program.
func helper(t *testing.T) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "helper")
	if _, err := (hosttool.Host{}).Run(t.Context(), hosttool.Cmd{Args: []string{"go", "build", "-o", p, "./testdata/helper"}, Env: []string{"CGO_ENABLED=0"}}); err != nil {
		t.Fatal(err)
	}
	return p
}
