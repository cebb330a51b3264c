package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStrip(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"colours":       {"[\x1b[0;32m  OK  \x1b[0m] Started\r\n", "[  OK  ] Started\n"},
		"seabios":       {"\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS", "SeaBIOS"},
		"title":         {"\x1b]0;title\x07root# ", "root# "},
		"title st":      {"\x1b]0;title\x1b\\root# ", "root# "},
		"charset":       {"\x1b(Bx\x1b)0y", "xy"},
		"broken by eol": {"\x1b[12\nnext", "\nnext"},
		"utf8":          {"update-ut… done", "update-ut… done"},
	} {
		t.Run(name, func(t *testing.T) {
			var s Stripper
			if d := cmp.Diff(tc.want, string(s.Append(nil, []byte(tc.in)))); d != "" {
				t.Error(d)
			}
			var split Stripper // one byte at a time gives the same
			var got []byte
			for i := range len(tc.in) {
				got = split.Append(got, []byte{tc.in[i]})
			}
			if d := cmp.Diff(tc.want, string(got)); d != "" {
				t.Error("split: ", d)
			}
		})
	}
}

func FuzzStrip(f *testing.F) {
	f.Add([]byte("\x1b[1mx\x1b]0;\x1b\\"), 3)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		var a, c Stripper
		whole := a.Append(nil, b)
		if cut < 0 || cut > len(b) {
			cut = 0
		}
		if parts := c.Append(c.Append(nil, b[:cut]), b[cut:]); !bytes.Equal(whole, parts) {
			t.Errorf("%q cut at %d: %q, whole %q", b, cut, parts, whole)
		}
		if bytes.ContainsRune(whole, 0x1b) {
			t.Errorf("%q keeps an escape: %q", b, whole)
		}
	})
}

func TestExpectWithoutNewline(t *testing.T) {
	var s Stream
	go func() {
		for _, piece := range []string{"\r\nDebian GNU/Linux 12 m1 ttyS0\r\n\r\nm1 lo", "gin", ": "} {
			_, _ = s.Write([]byte(piece))
		}
	}()
	got, err := s.Expect(t.Context(), regexp.MustCompile(`(?m)^(\S+) login: `), time.Minute)
	if err != nil || got[1] != "m1" {
		t.Fatalf("%q, %v", got, err)
	}
	// What was matched is consumed.
	_, err = s.Expect(t.Context(), regexp.MustCompile("login: "), 10*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "was not seen within 10ms") {
		t.Errorf("second Expect: %v", err)
	}
	s.End(nil)
	if _, err = s.Expect(t.Context(), regexp.MustCompile("x"), time.Minute); !errors.Is(err, io.EOF) {
		t.Errorf("Expect after End: %v", err)
	}
}

func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var s Stream
	done := make(chan error)
	go func() { done <- Follow(ctx, path, &s) }()
	for _, w := range []string{"one ", "two "} {
		if _, err := log.WriteString(w); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Expect(ctx, regexp.MustCompile(w), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
