package serve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckState(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                               "",
		filepath.Join(dir, "to/be/made"):  "",
		file:                              file + " is not a directory",
		filepath.Join(file, "below/that"): "not a directory",
	} {
		err := checkState(path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
