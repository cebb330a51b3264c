package boot

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestBlkid(t *testing.T) {
	img := filepath.Join(t.TempDir(), "img")
	if err := os.WriteFile(img, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-L", "a label", "-U", "6c1a4de2-9a5e-4a0e-8d8c-0a4c3d2b1f00", img).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for args, want := range map[string]string{
		"":                           img + `: LABEL="a label" UUID="6c1a4de2-9a5e-4a0e-8d8c-0a4c3d2b1f00" TYPE="ext4"` + "\n",
		"-o value -s TYPE":           "ext4\n",
		"-o export -s UUID":          "DEVNAME=" + img + "\nUUID=6c1a4de2-9a5e-4a0e-8d8c-0a4c3d2b1f00\n\n",
		"-o device -s LABEL -p":      img + "\n",
		"-s PARTUUID -o value":       "",
		"-o value -s TYPE /dev/null": "ext4\n",
	} {
		var out, errs bytes.Buffer
		code := blkid(append(strings.Fields(args), img), t.TempDir(), &out, &errs)
		if out.String() != want || (code == 0) != (want != "") {
			t.Errorf("blkid %s: %d, %q %q, want %q", args, code, out.String(), errs.String(), want)
		}
	}
	var out bytes.Buffer
	if code := blkid([]string{"--nonsense"}, t.TempDir(), &out, &out); code != 4 || !strings.Contains(out.String(), "usage") {
		t.Errorf("%d: %s", code, &out)
	}
}
