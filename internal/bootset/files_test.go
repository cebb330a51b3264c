package bootset

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := Files(dir); !errors.Is(err, ErrNoList) {
		t.Errorf("no list: %v", err)
	}
	name := filepath.Join(dir, "files.json")
	if err := os.WriteFile(name, []byte(`[{"path":"init","why":"PID 1"}]`), 0o644); err != nil {
		t.Fatal(err)
	}
	if files, err := Files(dir); err != nil || len(files) != 1 || files[0].Why != "PID 1" {
		t.Errorf("%v, %v", files, err)
	}
	if err := os.WriteFile(name, []byte(`{`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Files(dir); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("half a list: %v", err)
	}
}

func TestMeant(t *testing.T) {
	var files []File
	for _, p := range []string{"init", "usr/sbin/init", "usr/bin/sh", "usr/lib/modules/6.1/kernel/drivers/nvme/host/nvme-core.ko.zst", "usr/lib/firmware/a/b.bin"} {
		files = append(files, File{Path: p})
	}
	for name, want := range map[string]string{
		"init": "init", "/usr/sbin/init": "usr/sbin/init", "bin/sh": "usr/bin/sh", "sh": "usr/bin/sh",
		"nvme_core": "usr/lib/modules/6.1/kernel/drivers/nvme/host/nvme-core.ko.zst", "nvme-core": "usr/lib/modules/6.1/kernel/drivers/nvme/host/nvme-core.ko.zst",
		"*.bin": "usr/lib/firmware/a/b.bin", "usr/lib/firmware/*/*": "usr/lib/firmware/a/b.bin", "s*": "usr/bin/sh", "nothing": "", "[": "",
	} {
		var got []string
		for _, f := range Meant(files, name) {
			got = append(got, f.Path)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s means %q, want %q", name, got, want)
		}
	}
}
