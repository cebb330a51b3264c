package life

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/internal/hosttool"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestWords are words of initramfs-tools, systemd and dracut with an effect
// that can be seen from the shell and from the root.
func TestWords(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	disk := vmtest.MarkerRoot(t, 64<<20, `
grep CapBnd /proc/1/status
cat /proc/sys/kernel/usermodehelper/bset
echo locked $(cat /proc/sys/kernel/modules_disabled /proc/sys/kernel/kexec_load_disabled)
df -k /run | tail -1
echo written >/written && ls -l /written
ls /lib/modules/$(uname -r)/modules.dep && mount | grep /lib/modules
grep 'memory before' /run/initramfs/init.log
[ -d /sys/module/loop ] && echo loop-is-loaded
mount | grep ' /usr '; echo written >/usr/written && ls /usr
`, "mkfs.ext4", "-q", "-F", "-L", "words")
	usr, dir := vmtest.BlankDisk(t, 32<<20), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "usr-is-here"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := hosttool.Run(t.Context(), "mkfs.ext4", "-q", "-F", "-L", "usr", "-d", dir, usr); err != nil {
		t.Fatal(err)
	}
	v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t, "--add-drivers", "loop"),
		`root=LABEL=words rw break=premount,bottom real_init=/none rd.distroinit=/sbin/init initramfs.runsize=40M drop_capabilities=CAP_SYS_MODULE,cap_sys_time `+
			`rd.caps.disablemodules=1 rd.caps.disablekexec=1 rd.modules_load=loop rd.driver.export systemd.volatile=overlay rd.memdebug=3 rd.systemd.debug_shell=tty9 blacklist=floppy mount.usr=LABEL=usr rd.usrmount.ro`,
		qemu.Disk{Path: disk}, qemu.Disk{Path: usr}))
	v.Expect(`break=premount,bottom: a shell before stage initqueue;`, boundBoot)
	v.Expect(prompt, boundStep)
	run(t, v, `for p in /proc/[0-9]*; do [ "$(readlink $p/fd/0)" = /dev/tty9 ] && echo aside-$(cat $p/comm); done`)
	if text := v.Text(); !strings.Contains(text, "aside-sh") {
		t.Errorf("no shell on tty9")
	}
	v.Send("exit\n")
	v.Expect(`a shell before stage pre-pivot;`, boundStep)
	v.Expect(prompt, boundStep)
	run(t, v, "grep overlay-sysroot/usr /proc/mounts")
	if text := v.Text(); !strings.Contains(text, " /run/systemd/overlay-sysroot/usr ext4 ro") {
		t.Error("/usr is not mounted read-only")
	}
	v.Send("exit\n")
	v.Expect(`the root runs without the capabilities CAP_SYS_MODULE, cap_sys_time`, boundStep)
	v.Expect(vmtest.Marker+` on overlay-root overlay \S+ pid 1`, boundStep)
	v.Expect(`CapBnd:\s+[0-9a-f]{8}fdfeffff`, boundStep) // without 16 and 25
	v.Expect(`4261347327\s+\d+`, boundStep)
	v.Expect(`locked 1 1`, boundStep)
	v.Expect(`tmpfs\s+40960\s`, boundStep)
	v.Expect(`/written`, boundStep)
	v.Expect(`modules.dep\s+driver_export on /lib/modules`, boundStep)
	v.Expect(`memory before cleanup: slab `, boundStep)
	v.Expect(`loop-is-loaded`, boundStep)
	v.Expect(`overlay-usr on /usr type overlay`, boundStep)
	v.Expect(`usr-is-here\s.*written`, boundStep)
	v.WaitPowerOff(boundStep)
	if out, err := exec.Command("debugfs", "-R", "stat /written", disk).CombinedOutput(); err != nil || !strings.Contains(string(out), "File not found") {
		t.Errorf("a volatile root was written to: %s, %v", out, err)
	}
}

// TestVolatileUsr is systemd.volatile=yes.
func TestVolatileUsr(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	tree := vmtest.MarkerTree(t, "ls -d /etc /var /data; echo x >/usr/x || echo usr-is-read-only; echo volatile-end")
	for _, err := range []error{
		os.Rename(filepath.Join(tree, "bin"), filepath.Join(tree, "usr/bin")), os.Rename(filepath.Join(tree, "sbin"), filepath.Join(tree, "usr/sbin")),
		os.Symlink("usr/bin", filepath.Join(tree, "bin")), os.Symlink("usr/sbin", filepath.Join(tree, "sbin")), os.Mkdir(filepath.Join(tree, "data"), 0o755),
		os.Rename(filepath.Join(tree, "script"), filepath.Join(tree, "usr/script")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	init := filepath.Join(tree, "usr/sbin/init")
	text, err := os.ReadFile(init)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(init, []byte(strings.Replace(string(text), ". /script", ". /usr/script", 1)), 0o755); err != nil {
		t.Fatal(err)
	}
	disk := vmtest.BlankDisk(t, 64<<20)
	if _, err := hosttool.Run(t.Context(), "mkfs.ext4", "-q", "-F", "-d", tree, disk); err != nil {
		t.Fatal(err)
	}
	v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t), "root=/dev/vda systemd.volatile=yes", qemu.Disk{Path: disk}))
	v.Expect(vmtest.Marker+` on tmpfs tmpfs \S+ pid 1`, boundBoot)
	v.Expect(`usr-is-read-only`, boundStep)
	v.Expect(`volatile-end`, boundStep)
	v.WaitPowerOff(boundStep)
	if strings.Contains(v.Text(), "/data\r\n") {
		t.Error("the root's other folders are there")
	}
}

// TestKeymap: a passphrase is typed on the keyboard of the screen, and with
// the keymap that the line names.
func TestKeymap(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	for _, p := range []string{"loadkeys", "cryptsetup"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%v: install kbd, console-data and cryptsetup-bin", err)
		}
	}
	const uuid = "77777777-1111-4222-8333-444444444444"
	disk, key := vmtest.BlankDisk(t, 32<<20), filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("zy-\u00e4"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := hosttool.Run(t.Context(), "cryptsetup", "luksFormat", "-q", "--type", "luks2", "--uuid", uuid, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", key, disk); err != nil {
		t.Fatal(err)
	}
	v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t, "--add-feature", "keymap crypt"),
		"console=tty0 console=ttyS0,115200 rd.vconsole.keymap=de-latin1-nodeadkeys rd.shell=0 bareroot.emergency.delay=0 rd.emergency=poweroff rd.luks.uuid="+uuid+" root=/dev/mapper/luks-"+uuid, qemu.Disk{Path: disk}))
	v.Expect(`loadkeys: -q -u -C /dev/tty0 de-latin1-nodeadkeys`, boundBoot)
	v.Expect(`Passphrase for /dev/vda \([^)]*\): `, boundStep) // on the serial line; the screen's comes in the same moment
	for range 3 {
		// Where a US keyboard has y, z, / and ', a German one has z, y, - and an umlaut.
		if err := v.PressKeys(t.Context(), "y", "z", "slash", "apostrophe", "ret"); err != nil {
			t.Fatal(err)
		}
		// What is typed before the screen's question is not read.
		if got := v.Expect(`/dev/vda is open as /dev/mapper/luks-|That is not it\. Passphrase for /dev/vda \([^)]*\), try \d of 5: `, boundStep); strings.HasPrefix(got[0], "/dev/vda is open") {
			v.WaitPowerOff(boundStep)
			return
		}
	}
	t.Error("what was typed was never right")
}
