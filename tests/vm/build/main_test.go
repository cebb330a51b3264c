// Package build boots ramdisks of all kinds that "bareroot build" makes, and
// looks at them from inside.
package build

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/internal/lab/distro"
	"bareroot/tests/vm/vmtest"
)

// programs32 is a 32-bit program in C++, with all that it needs.
const programs32 = "gperf"

func TestMain(m *testing.M) {
	vmtest.Main(m, func(ctx context.Context, cacheDir string) error {
		_, err := distro.Packages(ctx, cacheDir, "i386", programs32)
		return err
	})
}

// put writes a file.
func put(t *testing.T, mode os.FileMode, text string, path ...string) string {
	t.Helper()
	p := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, mode); err != nil { // umask
		t.Fatal(err)
	}
	return p
}

// look makes the hook that says "ok WORD" or "BAD WORD" for each check, a line
// "WORD COMMAND" of shell each, and switches the machine off.
func look(t *testing.T, checks string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("#!/bin/sh\nexec </dev/console >/dev/console 2>&1\n")
	for line := range strings.Lines(checks) {
		if word, command, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			b.WriteString("if { " + command + "\n}; then echo \"ok " + word + "\"; else echo \"BAD " + word + "\"; fi\n")
		}
	}
	b.WriteString("echo LOOKED\nsync\necho o >/proc/sysrq-trigger\nsleep 9\n")
	return put(t, 0o644, b.String(), t.TempDir(), "look") // the builder makes hooks executable
}

// looked boots a ramdisk with such a hook and fails for each check that does.
func looked(t *testing.T, ramdisk, words, checks string, extra ...string) {
	t.Helper()
	spec := vmtest.Direct(t, ramdisk, "quiet "+words)
	spec.Initrds = append(extra, spec.Initrds...)
	v := vmtest.Boot(t, spec)
	v.Expect("LOOKED", 3*time.Minute)
	v.WaitPowerOff(time.Minute)
	text := v.Text()
	for line := range strings.Lines(checks) {
		if word, command, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.Contains(text, "ok "+word+"\r\n") && !strings.Contains(text, "ok "+word+"\n") {
			t.Errorf("%s fails: %s", word, command)
		}
	}
}
