package life

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

const luksUUID = "11111111-2222-4333-8444-555555555555"

// TestStack: the passphrase of a root on LVM on LUKS comes over ssh, the second
// time right; at the end the ramdisk takes the stack apart.
func TestStack(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	disk := qemu.Disk{Path: vmtest.BlankDisk(t, 160<<20)}
	vmtest.Prepare(t, []string{"cryptsetup", "lvm", "mkfs.ext4"}, giveBack, `
export DM_DISABLE_UDEV=1
for m in dm_crypt dm_mod xts; do modprobe $m; done
mkdir /new
printf secret | cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --uuid `+luksUUID+` --key-file - /dev/vda
printf secret | cryptsetup open --key-file - /dev/vda c
lvm pvcreate /dev/mapper/c; lvm vgcreate vg /dev/mapper/c; lvm lvcreate -l 100%FREE -n root vg
mkfs.ext4 -q /dev/vg/root || mkfs.ext4 -q /dev/mapper/vg-root
mount /dev/mapper/vg-root /new; cp -a /marker/. /new; umount /new
lvm vgchange -an vg; cryptsetup close c`, disk)

	signer, keys := newKey(t)
	spec := vmtest.Direct(t, vmtest.Ramdisk(t, "--add-feature", "ssh crypt lvm", "--include", keys, "/root/.ssh/authorized_keys"),
		"root=/dev/vg/root rd.luks.uuid="+luksUUID+" rd.ssh ip="+guestIP+"::"+vmtest.Addr()+":255.255.255.0:node::none", disk)
	spec.NICs = []qemu.NIC{{}}
	v := vmtest.Boot(t, spec)
	v.Expect(`Passphrase for /dev/vda`, boundBoot)
	v.Expect(`log in with: ssh root@`+guestIP, boundBoot)
	c, err := ssh.Dial("tcp", net.JoinHostPort(guestIP, "22"), &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, Timeout: 30 * time.Second,
		HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	s.Stdin = strings.NewReader("wrong\nsecret\n")
	out, err := s.CombinedOutput("unlock")
	if !strings.Contains(string(out), "Passphrase for /dev/vda") || !strings.Contains(string(out), "That is not it") {
		t.Errorf("unlock: %v\n%s", err, out)
	}
	v.Expect(vmtest.Marker+` on /dev/mapper/vg-root`, boundBoot)
	if kept, err := strconv.Atoi(v.Expect(`kept: (\d+) MiB`, boundStep)[1]); err != nil || kept > 16 {
		t.Errorf("the ramdisk that is kept takes %d MiB, %v", kept, err)
	}
	v.Expect(`poweroff: the ramdisk takes the root apart`, boundStep)
	v.Expect(`the old root is unmounted`, boundStep)
	v.Expect(`all that the root stood on is released`, boundStep)
	v.WaitPowerOff(boundStep)
}
