package rootfs

import (
	"os"
	"testing"

	"bareroot/internal/cmdline"
)

func TestVolatileMode(t *testing.T) {
	for line, want := range map[string]string{
		"": "", "systemd.volatile": "yes", "systemd.volatile=yes": "yes", "systemd.volatile=true": "yes", "systemd.volatile=overlay": "overlay",
		"systemd.volatile=state": "", "systemd.volatile=no": "", "systemd.volatile=0": "", "systemd.volatile=overlay systemd.volatile=no": "", "rd.volatile=overlay": "",
	} {
		if got := volatileMode(cmdline.Parse(line, "t")); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// Of more than one word for the root's init each has its place.
func TestInitWords(t *testing.T) {
	root := t.TempDir()
	for _, p := range []string{"/sbin/init", "/sbin/real", "/sbin/distro"} {
		if err := os.MkdirAll(root+"/sbin", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+p, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for line, want := range map[string]string{
		"": "/sbin/init", "real_init=/sbin/real": "/sbin/real", "init=/sbin/init real_init=/sbin/real": "/sbin/real", "real_init=/none init=/sbin/distro": "/sbin/distro",
		"rd.distroinit=/none rd.distroinit=/sbin/distro": "/sbin/distro", "rd.distroinit=/sbin/distro init=/sbin/real": "/sbin/real", "real_init=": "/sbin/init", "init=/none": "",
	} {
		if got, err := FindInit(root, cmdline.Parse(line, "t")); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s, %v; want %s", line, got, err, want)
		}
	}
}

func TestNoResume(t *testing.T) {
	for line, want := range map[string]bool{"": false, "noresume": true, "nohibernate": true, "hibernate=no": true, "hibernate=noresume": true, "hibernate=nocompress": false, "resume=/dev/sda2": false} {
		if got := noResume(cmdline.Parse(line, "t")); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

func TestCopyFiles(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(from+"/kernel/fs", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/modules.dep", "/kernel/fs/ext4.ko.zst"} {
		if err := os.WriteFile(from+p, []byte(p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := copyFiles(from, to+"/6.1"); n != 2 || err != nil {
		t.Fatalf("%d files, %v", n, err)
	}
	if b, err := os.ReadFile(to + "/6.1/kernel/fs/ext4.ko.zst"); string(b) != "/kernel/fs/ext4.ko.zst" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if n, err := copyFiles(from, to+"/6.1"); n != 1 || err == nil {
		t.Errorf("over what is there: %d files, %v", n, err)
	}
}
