package boot

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"bareroot/api"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/console"
	"bareroot/internal/run/errand"
)

func TestUnpack(t *testing.T) {
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	program := []byte(strings.Repeat("a program ", 1<<16))
	whole := e.EncodeAll(program, nil)
	changed := append([]byte(nil), whole...)
	changed[len(changed)-1] ^= 1 // of the checksum
	for name, c := range map[string]struct {
		packed []byte
		ok     bool
	}{
		"whole": {whole, true}, "cut off": {whole[:len(whole)-9], false}, "changed": {changed, false}, "no zstd": {[]byte("\x7fELF"), false},
	} {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "agent.zst"), filepath.Join(dir, "agent")
		if err := os.WriteFile(from, c.packed, 0o644); err != nil {
			t.Fatal(err)
		}
		err := unpack(t.Context(), from, to)
		b, rerr := os.ReadFile(to)
		if (err == nil) != c.ok || c.ok && (rerr != nil || string(b) != string(program)) || !c.ok && !errors.Is(rerr, os.ErrNotExist) {
			t.Errorf("%s: %v, %d bytes, %v", name, err, len(b), rerr)
		}
		if st, err := os.Stat(to); c.ok && (err != nil || st.Mode().Perm() != 0o755) {
			t.Errorf("%s: %v %v", name, st, err)
		}
		left, _ := filepath.Glob(filepath.Join(dir, "*.new"))
		if d := cmp.Diff([]string(nil), left); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	from, to := filepath.Join(t.TempDir(), "agent.zst"), filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(from, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := unpack(ctx, from, to); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody wants it any more: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(to)); len(left) > 0 {
		t.Errorf("half of it is left: %v", left)
	}
	if err := unpack(t.Context(), "/nonexistent", filepath.Join(t.TempDir(), "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing to unpack: %v", err)
	}
}

// answering is an agent that says one thing and ends.
type answering struct{ io.Reader }

func (answering) Write(b []byte) (int, error) { return len(b), nil }
func (answering) End() string                 { return "exit code 1" }

// TestHelloFails: a refusal does not become a yes by asking again, and an agent
// that cannot run does not hold up the boot until its limit.
func TestHelloFails(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"refused":         {`{"error":"this nonce was used","problem":{"title":"used","status":403}}` + "\n", "the server refused this boot: this nonce was used"},
		"the agent dies":  {"", "given up"},
		"the agent raves": {"Segmentation fault\n", "what is no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			starts := 0
			b := &Boot{log: console.NewLog(io.Discard), conf: rdconf.Config{Server: &rdconf.Server{URL: "http://192.0.2.1", Nonce: "n"}}, courier: &errand.Sender{
				Start: func(context.Context) (errand.Process, error) {
					starts++
					return answering{strings.NewReader(c.answer)}, nil
				},
				Again: func() bool { return starts < 2 },
			}}
			err := b.hello(t.Context())
			var p *api.Problem
			if err == nil || !strings.Contains(err.Error(), c.want) || b.session != nil || errors.As(err, &p) != (name == "refused") {
				t.Errorf("after %d starts: %v", starts, err)
			}
		})
	}
}
