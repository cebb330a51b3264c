package roots

import (
	"crypto/aes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/xts"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// sealed encrypts a disk as dm-crypt's aes-xts-plain64 does, from its first
// sector on.
func sealed(t *testing.T, disk string, key []byte) string {
	t.Helper()
	c, err := xts.NewCipher(aes.NewCipher, key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(data); n += 512 {
		c.Encrypt(data[n:n+512], data[n:n+512], uint64(n/512))
	}
	write(t, disk, string(data))
	return disk
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// luksFormat makes a LUKS2 device, or its header for a device, that key opens.
func luksFormat(t *testing.T, disk, uuid, key string, more ...string) {
	t.Helper()
	file := write(t, filepath.Join(t.TempDir(), "key"), key)
	tool(t, append([]string{"cryptsetup", "luksFormat", "-q", "--type", "luks2", "--uuid", uuid, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000",
		"--cipher", "aes-xts-plain64", "--key-size", "512", "--sector-size", "512", "--key-file", file, disk}, more...)...)
}

// apart is a root whose LUKS header is a file of its own.
func apart(t *testing.T, label, uuid, key string) (disk, header string) {
	t.Helper()
	disk, header = extRoot(t, label, nil), filepath.Join(t.TempDir(), "root.hdr")
	volume := strings.Repeat("the volume's key", 3) + "of 64 bytes here"
	luksFormat(t, disk, uuid, key, "--header", header, "--volume-key-file", write(t, filepath.Join(t.TempDir(), "volume"), volume))
	return sealed(t, disk, []byte(volume)), header
}

const dataUUID = "66666666-2222-4333-8444-555555555555"

// TestCrypttab: a ramdisk with a crypttab, as a hostonly one has: every way to
// a key that it knows, and lines that are not for the ramdisk.
func TestCrypttab(t *testing.T) {
	dir := t.TempDir()
	root, header := apart(t, "cryptroot", luksUUID, "key one")
	text, err := os.ReadFile(header)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "etc/root.hdr"), string(text))
	write(t, filepath.Join(dir, "etc/keys/root"), "....key one,,,,")
	plain := strings.Repeat("sixteen letters.", 4)
	write(t, filepath.Join(dir, "etc/keys/plain one"), plain)
	write(t, filepath.Join(dir, "etc/cryptsetup-keys.d/data.key"), "key two")
	write(t, filepath.Join(dir, "lib/cryptsetup/scripts/give"), `#!/bin/sh
echo "for $CRYPTTAB_NAME, tried $CRYPTTAB_TRIED" >&2
[ "$CRYPTTAB_OPTION_size" = 256 ] && [ -b "$CRYPTTAB_SOURCE" ] && printf '%s-%s' "$1" "$CRYPTTAB_TRIED"
`)
	write(t, filepath.Join(dir, "etc/crypttab"), `# what is tried
root    /dev/disk/by-id/virtio-ROOT   /etc/keys/root luks,header=/etc/root.hdr,keyfile-offset=4,keyfile-size=7,discard,x-initrd.attach
plain   /dev/disk/by-id/virtio-PLAIN  /etc/keys/plain\040one plain,cipher=aes-xts-plain64,size=512
script  /dev/disk/by-id/virtio-SCRIPT the\040key plain,cipher=aes-xts-plain64,size=256,hash=sha256,keyscript=give
data    UUID=`+dataUUID+` none luks,read-only
later   /dev/disk/by-id/virtio-LATER  none luks,nofail,timeout=2s,tries=1
absent  UUID=99999999-2222-4333-8444-555555555555 none luks,nofail
manual  /dev/disk/by-id/virtio-MANUAL none luks,noauto
swap    /dev/disk/by-id/virtio-SWAP   /dev/urandom swap,plain,cipher=aes-xts-plain64
`)
	blank := func() string { return vmtest.BlankDisk(t, 24*mib) }
	data, later, manual := blank(), blank(), blank()
	luksFormat(t, data, dataUUID, "key two")
	luksFormat(t, later, "77777777-2222-4333-8444-555555555555", "nobody types it")
	luksFormat(t, manual, "88888888-2222-4333-8444-555555555555", "nobody types it")
	// The script's key is right at its second try.
	sum := sha256.Sum256([]byte("the key-1"))
	ram := vmtest.Ramdisk(t, "--add-feature", "crypt", "--include", dir, "/")
	v := vmtest.Boot(t, vmtest.Direct(t, ram, "root=/dev/mapper/root"+off,
		qemu.Disk{Path: root, Serial: "ROOT"}, qemu.Disk{Path: sealed(t, extRoot(t, "plain", nil), []byte(plain)), Serial: "PLAIN"},
		qemu.Disk{Path: sealed(t, extRoot(t, "script", nil), sum[:]), Serial: "SCRIPT"}, qemu.Disk{Path: data}, qemu.Disk{Path: later, Serial: "LATER"},
		qemu.Disk{Path: manual, Serial: "MANUAL"}, qemu.Disk{Path: blank(), Serial: "SWAP"}))
	v.Expect(vmtest.Marker+` on /dev/mapper/root ext4`, boot)
	v.WaitPowerOff(time.Minute)
	expectAll(t, v, `MORE dm-\d+ CRYPT-LUKS2-11111111\S+-root`, `MORE dm-\d+ CRYPT-PLAIN-plain`, `MORE dm-\d+ CRYPT-PLAIN-script`, `MORE dm-\d+ CRYPT-LUKS2-66666666\S+-data`,
		`give: for script, tried 0`, `give: for script, tried 1`, `Passphrase for /dev/vd\w \(later\)`)
	if n := len(all(v, `MORE dm-`)); n != 4 {
		t.Errorf("%d devices were opened", n)
	}
}

// TestApart: a header on another disk and a plain device, by words of the
// command line and by hand; and a question that nobody answers.
func TestApart(t *testing.T) {
	vmtest.AllOnly(t)
	root, header := apart(t, "cryptroot", luksUUID, "secret")
	dir := filepath.Dir(header)
	tab := t.TempDir()
	write(t, filepath.Join(tab, "etc/crypttab"), "plain /dev/disk/by-id/virtio-PLAIN - plain,cipher=aes-xts-plain64,size=256,hash=sha256,tries=0\n")
	sum := sha256.Sum256([]byte("other"))
	ram := vmtest.Ramdisk(t, "--add-feature", "crypt", "--include", tab, "/")
	disks := []qemu.Disk{{Path: root, Serial: "ROOT"}, {Path: ext(t, "headers", dir)}, {Path: sealed(t, extRoot(t, "plain", nil), sum[:]), Serial: "PLAIN"}}
	words := "root=LABEL=cryptroot rd.luks.uuid=" + luksUUID + " rd.luks.data=" + luksUUID + "=/dev/disk/by-id/virtio-ROOT rd.luks.options=" + luksUUID + "=header=/root.hdr:LABEL=headers"
	v := vmtest.Boot(t, vmtest.Direct(t, ram, words, disks...))
	answers := map[string]string{"luks-" + luksUUID: "secret", "plain": "other"}
	for n := range 4 {
		got := v.Expect(`Passphrase for /dev/vd. \((\S+)\)(, try 2)?(?: of \d)?: `, boot)
		if got[2] == "" && n < 3 {
			v.Send("a guess\n")
			continue
		}
		v.Send(answers[got[1]] + "\n")
	}
	v.Expect(vmtest.Marker+` on /dev/mapper/luks-`+luksUUID+` ext4`, boot)
	v.WaitPowerOff(time.Minute)
	expectAll(t, v, `MORE dm-\d+ CRYPT-LUKS2-11111111\S+`, `MORE dm-\d+ CRYPT-PLAIN-plain`, `plain: the passphrase is wrong \(1\)`)

	v = vmtest.Boot(t, vmtest.Direct(t, ram, words+" rd.luks.crypttab=0 rd.luks.timeout=2 rd.retry=20"+off, disks[:2]...))
	v.Expect(`FAILED: .*no key or passphrase fits: nobody answered within 2 s`, boot)
	v.WaitPowerOff(time.Minute)
}
