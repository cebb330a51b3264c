package rdconf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, root, path, text string) {
	t.Helper()
	p := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadMergesServerOverBuilder(t *testing.T) {
	root := t.TempDir()
	write(t, root, Vendor, `{"version":1,"role":"root","cmdline":"rd.timeout=30","modules":["virtio_net"]}`)
	write(t, root, Path, `{"version":1,"role":"discover","cmdline":"ip=dhcp","locked":["root"],"server":{"url":"http://10.0.0.1:8080","nonce":"n"}}`)
	got, notices, err := Load(root)
	if err != nil || len(notices) != 0 {
		t.Fatal(err, notices)
	}
	want := Config{Version: 1, Role: "discover", Cmdline: "rd.timeout=30 ip=dhcp", Locked: []string{"root"}, Modules: []string{"virtio_net"},
		Server: &Server{URL: "http://10.0.0.1:8080", Nonce: "n"}}
	got.Cmdline = strings.TrimSpace(got.Cmdline)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestLoadWithoutFiles(t *testing.T) {
	got, notices, err := Load(t.TempDir())
	if err != nil || len(notices) != 0 || got.Role != "" || got.Server != nil {
		t.Errorf("got %+v, %v, %v", got, notices, err)
	}
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ in, notice, err string }{
		"unknown field": {in: `{"version":1,"colour":"red"}`, notice: `"colour"`},
		"newer major":   {in: `{"version":2}`, err: "version 2"},
		"no version":    {in: `{}`, err: "version 0"},
		"not json":      {in: `role=root`, err: "parse ramdisk configuration"},
		"plain":         {in: `{"version":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			_, notices, err := Parse([]byte(c.in))
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if all := strings.Join(notices, "; "); (all == "") != (c.notice == "") || !strings.Contains(all, c.notice) {
				t.Errorf("notices %q, want %q", all, c.notice)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"role":"root","server":{"url":"x"}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _, err := Parse(b)
		if err == nil && (c.Version < 1 || c.Version > Version) {
			t.Errorf("accepted version %d", c.Version)
		}
	})
}

func TestWriteFileIsPrivateAndWhole(t *testing.T) {
	p := filepath.Join(t.TempDir(), "run/session.json")
	in := Session{Token: "secret", Machine: "m1"}
	if err := WriteFile(p, in); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(p)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", st.Mode(), err)
	}
	var out Session
	if err := ReadFile(p, &out); err != nil || out != in {
		t.Errorf("got %+v, %v", out, err)
	}
}
