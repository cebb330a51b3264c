package console

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLog(t *testing.T) {
	var screen strings.Builder
	l := NewLog(&screen)
	l.now = func() time.Duration { return 1234 * time.Millisecond }
	l.Infof("before the file: %s", "a\x1b[2Jb")
	p := filepath.Join(t.TempDir(), "run/boot.log")
	if err := l.Attach(p); err != nil {
		t.Fatal(err)
	}
	l.kmsg = nil // not into this machine's log
	l.SetLevel(true, false)
	l.Infof("quiet")
	l.Debugf("debug")
	l.Warnf("two\nlines")
	l.Errorf("bad")
	const s = "[    1.234] bareroot: "
	if want := s + "before the file: a?[2Jb\n" + s + "warning: two\n" + s + "warning: lines\n" + s + "FAILED: bad\n"; screen.String() != want {
		t.Errorf("console:\n%s\nwant:\n%s", screen.String(), want)
	}
	b, err := os.ReadFile(p)
	if want := s + "before the file: a?[2Jb\n" + s + "quiet\n" + s + "debug\n" + s + "warning: two\n" + s + "warning: lines\n" + s + "FAILED: bad\n"; err != nil || string(b) != want {
		t.Errorf("file (%v):\n%s", err, b)
	}
	select {
	case <-l.Grown():
	default:
		t.Error("nobody was told that the log grew")
	}
}

func TestLogIsBounded(t *testing.T) {
	l := NewLog(&strings.Builder{})
	p := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(p)
	if err != nil {
		t.Fatal(err)
	}
	l.file, l.quiet = f, true
	line := strings.Repeat("x", 64<<10)
	for range maxLog>>16 + 10 {
		l.Infof("%s", line)
	}
	fi, err := f.Stat()
	if err != nil || fi.Size() > maxLog+1024 {
		t.Errorf("the log has %d bytes, %v", fi.Size(), err)
	}
	if b, _ := os.ReadFile(p); !strings.HasSuffix(string(b), "kernel log only\n") {
		t.Error("the log does not say that it is full")
	}
}
