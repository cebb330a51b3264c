package device

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// tree is a module tree: c needs b needs a; p is by an alias a soft pre of c,
// q one of b, and both fail.
func tree(t *testing.T) string {
	d := t.TempDir()
	enc, _ := zstd.NewWriter(nil)
	write := func(name string, b []byte) {
		p := filepath.Join(d, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("modules.dep", []byte("k/zza.ko.zst:\nk/zzb.ko: k/zza.ko.zst\nk/zzc.ko.zst: k/zzb.ko k/zza.ko.zst\nk/zzp.ko:\nk/zzq.ko:\nk/zzx.ko.xz:\n"))
	write("modules.alias", []byte("alias pci:v1* zzc\nalias fs-zz zzb\nalias algo-zz zzp\n"))
	write("modules.softdep", []byte("softdep zzc pre: algo-zz\nsoftdep zzb pre: zzq\n"))
	write("k/zza.ko.zst", enc.EncodeAll([]byte("image a"), nil))
	write("k/zzb.ko", []byte("image b"))
	write("k/zzc.ko.zst", enc.EncodeAll([]byte("image c"), nil))
	write("k/zzp.ko", []byte("image p"))
	write("k/zzq.ko", []byte("image q"))
	write("k/zzx.ko.xz", []byte("?"))
	return d
}

func TestModules(t *testing.T) {
	m, err := NewModules(tree(t), cmdline.Parse("zzb.debug=1 zz-b.name=\"x y\" zzb.flag rd.driver.blacklist=nope", "test"))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []string
	m.insert = func(name string, image []byte, params string) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, name+" "+string(image)+" "+params)
		if name == "zzp" || name == "zzq" {
			return errors.New("refused")
		}
		return nil
	}
	// Many at once load each module once.
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := m.Load("pci:v1d2"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	want := []string{"zzp image p ", "zza image a ", "zzq image q ", "zzb image b debug=1 flag", "zzc image c "}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if err := m.LoadBackground("zzb"); err != nil || len(got) != len(want) {
		t.Errorf("a loaded module again: %v, %v", got, err)
	}
	if err := m.Load("zzp"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a module that the kernel refuses: %v", err)
	}
	if err := m.Load("zzx"); err == nil || !strings.Contains(err.Error(), ".ko.zst") {
		t.Errorf("an unknown compression: %v", err)
	}
	if err := m.Load("absent"); err == nil {
		t.Error("a module that does not exist was loaded")
	}
	if m.Loaded() != 3 {
		t.Errorf("%d modules count as loaded", m.Loaded())
	}
}

func TestBackground(t *testing.T) {
	m, err := NewModules(tree(t), cmdline.Parse("zzb.debug=1", "test"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	m.insert = func(name string, _ []byte, params string) error {
		got = append(got, name+" "+params)
		return nil
	}
	if err := m.LoadBackground("fs-zz"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"zzq async_probe", "zza async_probe", "zzb debug=1 async_probe"}, got); d != "" {
		t.Error(d)
	}
}

// TestAlone: a lone disk controller is probed in the background, two of one
// driver are found in order.
func TestAlone(t *testing.T) {
	sys, mods := t.TempDir(), t.TempDir()
	put := func(p, text string) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for i, a := range []string{"pci:v1bc01sc06i01", "pci:v2bc01sc07i00", "pci:v2bc01sc07i00", "pci:v3bc01sc08i02", "pci:v4bc02sc00i00"} {
		put(filepath.Join(sys, "bus/pci/devices", string(rune('a'+i)), "modalias"), a+"\n")
	}
	put(filepath.Join(mods, "modules.dep"), "ahci.ko:\nsas.ko:\nnvme.ko:\nnic.ko:\n")
	put(filepath.Join(mods, "modules.alias"), "alias pci:v1* ahci\nalias pci:v2* sas\nalias pci:v3* nvme\nalias pci:v4* nic\n")
	x, err := NewModules(mods, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := newManager(console.NewLog(&strings.Builder{}), x, sys, t.TempDir())
	if d := cmp.Diff(map[string]bool{"ahci": true, "sas": false}, m.aloneWithDriver()); d != "" {
		t.Error(d)
	}
}

func TestBlacklist(t *testing.T) {
	m, err := NewModules(tree(t), cmdline.Parse("rd.driver.blacklist=x,zzc rd.driver.post=zzb", "test"))
	if err != nil {
		t.Fatal(err)
	}
	for _, alias := range []string{"pci:v1", "fs-zz"} {
		if got := m.Match(alias); len(got) != 0 {
			t.Errorf("a blacklisted module matches %s: %v", alias, got)
		}
	}
}
