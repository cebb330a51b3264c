package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/internal/rdconf"
)

func TestWhole(t *testing.T) {
	root := t.TempDir()
	if err := whole(root); err == nil || !strings.Contains(err.Error(), "not whole") {
		t.Errorf("without the last segment: %v", err)
	}
	p := filepath.Join(root, rdconf.Vendor)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := whole(root); err != nil {
		t.Error(err)
	}
}
