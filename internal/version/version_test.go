package version

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOfFile(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ content, want string }{
		"stamped":   {"\x7fELF...bareroot-build-id=0123456789abcdef;...", "0123456789abcdef"},
		"unstamped": {"\x7fELF", ""},
		"pattern":   {"bareroot-build-id=([0-9a-f]{8,64});", ""},
	} {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(c.content), 0o755); err != nil {
			t.Fatal(err)
		}
		got, err := OfFile(p)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
