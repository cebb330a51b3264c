package device

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/cmdline"
)

// signed is an image with a signature over a hash of the SHA-2 family.
func signed(image string, hash byte) []byte {
	const oid = "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"
	body := oid + string(hash)
	return []byte(image + body + "\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00" + string(byte(len(body))) + "~Module signature appended~\n")
}

// TestHashQuickly: the processor's form of the hash goes before the first
// module that is signed with it, whichever that is.
func TestHashQuickly(t *testing.T) {
	const sha256, sha512 = 1, 3
	d := t.TempDir()
	for name, text := range map[string]string{
		"modules.dep":             "kernel/a.ko:\nkernel/b.ko:\nkernel/arch/sha256-x.ko: kernel/arch/glue.ko\nkernel/arch/glue.ko:\nkernel/arch/sha256-y.ko:\nkernel/arch/sha512-x.ko:\n",
		"modules.alias":           "alias crypto-sha256 sha256_x\nalias crypto-sha256 sha256_y\nalias crypto-sha512 sha512_x\nalias cpu:type:x*feature:*0089* sha256_x\nalias cpu:type:x*feature:*0099* sha256_y\nalias cpu:type:x*feature:*0089* sha512_x\n",
		"cpu":                     "cpu:type:x,v1:feature:,0001,0089\n",
		"kernel/a.ko":             string(signed("a", sha256)),
		"kernel/b.ko":             "b",
		"kernel/arch/sha256-x.ko": string(signed("x", sha256)),
		"kernel/arch/glue.ko":     string(signed("glue", sha256)),
		"kernel/arch/sha256-y.ko": string(signed("y", sha256)),
		"kernel/arch/sha512-x.ko": string(signed("x512", sha512)),
	} {
		p := filepath.Join(d, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		line string
		load []string
		want []string
	}{
		"before the first":         {"", []string{"a"}, []string{"glue", "sha256_x", "a"}},
		"once":                     {"", []string{"a", "a", "b"}, []string{"glue", "sha256_x", "a", "b"}},
		"not for one without":      {"", []string{"b"}, []string{"b"}},
		"itself":                   {"", []string{"sha256_x"}, []string{"glue", "sha256_x"}},
		"another hash":             {"", []string{"sha512_x"}, []string{"sha512_x"}},
		"forbidden":                {"rd.driver.blacklist=sha256_x", []string{"a"}, []string{"a"}},
		"one for other processors": {"", []string{"sha256_y"}, []string{"glue", "sha256_x", "sha256_y"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := NewModules(d, cmdline.Parse(c.line, "test"))
			if err != nil {
				t.Fatal(err)
			}
			m.cpu = filepath.Join(d, "cpu")
			var got []string
			m.insert = func(name string, _ []byte, _ string) error { got = append(got, name); return nil }
			for _, n := range c.load {
				if err := m.Load(n); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	// Many at once: none is stuck, and all but what the hash needs come after it.
	m, err := NewModules(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.cpu = filepath.Join(d, "cpu")
	var mu sync.Mutex
	at := map[string]int{}
	m.insert = func(name string, _ []byte, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		at[name] = len(at) + 1
		if name == "sha256_x" {
			return errors.New("refused")
		}
		return nil
	}
	var wg sync.WaitGroup
	for _, n := range []string{"a", "a", "a", "b"} {
		wg.Go(func() { _ = m.Load(n) }) // one is refused
	}
	wg.Wait()
	if at["sha256_x"] == 0 || at["a"] < at["sha256_x"] || at["glue"] > at["sha256_x"] {
		t.Error(at)
	}
}
