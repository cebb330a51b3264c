package console

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEverywhere(t *testing.T) {
	sys, dev := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(sys, "class/tty/console"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sys, "class/tty/console/active"), []byte("tty0 ttyS9 ttyS0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dev, "tty0"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var last strings.Builder
	e := newEverywhere(&last, sys, dev)
	for _, s := range []string{"one\n", "two\n"} {
		if _, err := e.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
		e.others["tty0"].Close() // as if it was hung up
		e.others["tty0"], _ = os.OpenFile(filepath.Join(dev, "tty0"), os.O_WRONLY|os.O_APPEND, 0)
	}
	if last.String() != "one\ntwo\n" {
		t.Errorf("the console got %q", &last)
	}
	if b, _ := os.ReadFile(filepath.Join(dev, "tty0")); string(b) != "one\ntwo\n" {
		t.Errorf("the screen got %q", b)
	}
	if _, err := os.Stat(filepath.Join(dev, "ttyS0")); err == nil {
		t.Error("the last console got it twice")
	}
}
