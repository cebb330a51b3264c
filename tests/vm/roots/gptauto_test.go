package roots

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// discoverable is a disk with an ESP and the filesystem fs as its second
// partition, which has the type of a root.
func discoverable(t *testing.T, esp, fs string) string {
	t.Helper()
	disk := vmtest.BlankDisk(t, 80*mib)
	tool(t, "sh", "-c", `printf 'label: gpt\nsize=4M, type=U, uuid=`+esp+`\nsize=64M, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709\n' | sfdisk -q `+disk)
	tool(t, "dd", "if="+fs, "of="+disk, "bs=1M", "seek=5", "conv=notrunc", "status=none")
	return disk
}

// TestGPTAuto: a root by the type of its partition, on the only disk that has
// one; then, with a second such disk, on the one that the boot loader names in
// a variable of the firmware, there encrypted.
func TestGPTAuto(t *testing.T) {
	vmtest.AllOnly(t)
	const loader = "LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
	tree := vmtest.MarkerTree(t, stand+`
v=/sys/firmware/efi/efivars
[ -e $v/`+loader+` ] || mount -t efivarfs efivarfs $v
{ printf '\007\000\000\000'; printf %s `+strings.ToUpper(luksUUID)+` | sed 's/./&\n/g' | tr '\n' '\000'; printf '\000\000'; } >/tmp/v
cat /tmp/v >$v/`+loader+` && echo SET $(wc -c <$v/`+loader+`)`)
	plain := discoverable(t, partUUID, ext(t, "first", tree))
	volume := strings.Repeat("the volume's key", 3) + "of 64 bytes here"
	// Its header is in front of it, as everywhere: LUKS2 of 16 MiB.
	inner := extRoot(t, "second", nil)
	luks := vmtest.BlankDisk(t, 64*mib)
	luksFormat(t, luks, dataUUID, "secret", "--offset", "32768", "--volume-key-file", write(t, filepath.Join(t.TempDir(), "volume"), volume))
	tool(t, "sh", "-c", `truncate -s 48M `+inner+`.small && mkfs.ext4 -q -F -L second -d `+vmtest.MarkerTree(t, stand)+` `+inner+`.small`)
	tool(t, "dd", "if="+sealed(t, inner+".small", []byte(volume)), "of="+luks, "bs=1M", "seek=16", "conv=notrunc", "status=none")
	secret := discoverable(t, luksUUID, luks)

	vars := filepath.Join(t.TempDir(), "vars.fd")
	b, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
	if err != nil {
		t.Fatalf("%v: scripts/packages lab", err)
	}
	write(t, vars, string(b))
	boots := func(disks ...string) *vmtest.VM {
		var d []qemu.Disk
		for _, p := range disks {
			d = append(d, qemu.Disk{Path: p})
		}
		spec := vmtest.Direct(t, vmtest.Ramdisk(t, "--add-feature", "crypt"), "root=gpt-auto rd.retry=30"+off, d...)
		spec.Args = []string{"-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd", "-drive", "if=pflash,format=raw,file=" + vars}
		return vmtest.Boot(t, spec)
	}
	v := boots(plain)
	v.Expect(vmtest.Marker+` on /dev/vda2 ext4`, boot)
	v.Expect(`SET 78`, time.Minute)
	v.WaitPowerOff(time.Minute)
	v = boots(plain, secret)
	v.Expect(`Passphrase for /dev/vd\w2 \(root\): `, boot)
	v.Send("secret\n")
	v.Expect(vmtest.Marker+` on /dev/mapper/root ext4`, boot)
	v.WaitPowerOff(time.Minute)
	// The disk that the loader came from is not there.
	v = boots(plain)
	v.Expect(`FAILED: .*gpt-auto: the boot loader's partition `+luksUUID+` is not seen`, boot)
	v.WaitPowerOff(time.Minute)
}
