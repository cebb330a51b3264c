package life

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestCommandLine boots with a line that is wrong in every way that lets a
// boot go on: each word is named with its rule, and no password reaches the
// console or the log but by the kernel's own copy of the line.
func TestCommandLine(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	const secret = "Gehe1m"
	// Built in for another machine: the wrong words, and rd.hostonly=0 takes them back.
	built := filepath.Join(t.TempDir(), "50-built.conf")
	if err := os.WriteFile(built, []byte("rd.lvm.vg=elsewhere rootfstype=xfs\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ramdisk := vmtest.Ramdisk(t, "--include", built, "/etc/cmdline.d/50-built.conf")
	disk := vmtest.MarkerRoot(t, 64<<20, "cat /run/bareroot/boot.log /run/initramfs/init.log | grep "+secret+" | grep -v 'ommand line' && echo LEAK; echo LOOKED", "mkfs.ext4", "-q", "-F", "-L", "my root")
	v := vmtest.Boot(t, vmtest.Direct(t, ramdisk,
		`rootwait rd.hostonly=0 rdinitdebug rd.retry=ten rd_NO_DM metal.server=http://u:`+secret+`@h/x cifspass=`+secret+` "rootflags=noatime" root="LABEL=my root" bogus.param=1 rd.break=nowhere -- 3`, qemu.Disk{Path: disk}))
	v.Expect(`"rd.retry=ten": rd.retry takes a number from 0 on; the default "180" is used`, boundBoot)
	v.Expect(`"rd.break=nowhere": rd.break takes one of cmdline, pre-udev`, boundStep)
	v.Expect(`understood but not carried out by this version: .*cifspass=\*\*\*`, boundStep)
	v.Expect(vmtest.Marker+` on /dev/\S+ ext4 \S*noatime\S* pid 1 args 3`, boundBoot)
	v.Expect(`LOOKED`, boundStep)
	v.WaitPowerOff(boundStep)
	for _, l := range strings.Split(v.Text(), "\n") {
		if strings.Contains(l, "LEAK") || strings.Contains(l, secret) && !strings.Contains(l, "ommand line") {
			t.Errorf("a password on the console: %s", l)
		}
	}
}
