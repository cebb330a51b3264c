package dracut

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/tests/vm/vmtest"
)

// TestDeploymentRamdisk: the line of "Using Dracut to Build Deployment
// Ramdisks", with the output that it breaks off before. All programs that it
// names run in what it builds.
func TestDeploymentRamdisk(t *testing.T) {
	t.Parallel()
	vmtest.Need(t)
	dir, root := t.TempDir(), system(t, nil)
	if err := os.WriteFile(filepath.Join(dir, "init-func"), []byte("#!/bin/bash\necho \"init-func on ${BASH_VERSION%%.*} says $((6 * 7))\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	said := shell(t, root, dir, `TMP_MOUNT_PATH=.
dracut -N --install 'tail head awk ifconfig cut expr route ping tgtd tgtadm nc wget curl tftp' \
--kernel-cmdline " rdinitdebug rd.neednet=1" \
--include $TMP_MOUNT_PATH/init-func /init-func \
--kver ${KERNEL_VERSION} \
--add-drivers "virtio virtio_net virtio_blk" \
deploy.img
`)
	if strings.Contains(said, "left out") {
		t.Errorf("it said:\n%s", said)
	}
	v := machine(t, filepath.Join(dir, "deploy.img"), "")
	does(t, v, "tgtd --help | head -n 2", `Linux SCSI Target framework`)
	does(t, v, "tgtadm --version; echo code-$?", `code-0`)
	does(t, v, "ifconfig lo | tail -n +2 | head -n 1 | awk '{print $1, $2}'", `inet 127\.0\.0\.1`)
	does(t, v, "route -n | tail -n 1 | cut -c 1-9", `10\.77\.0\.0`)
	does(t, v, "echo expr-$(expr 20 + 22)", `expr-42`)
	does(t, v, "ping -c 1 -q 10.77.0.1", `1 received, 0% packet loss, time`)
	does(t, v, "curl --version | head -n 1", `curl \d+\.\d+\.\d+ \(x86_64`)
	does(t, v, "wget --version | head -n 1", `GNU Wget \d`)
	does(t, v, "tftp -V", `tftp-hpa \d`)
	does(t, v, "nc -h 2>&1 | head -n 1", `OpenBSD netcat`)
	does(t, v, "cat /etc/cmdline.d/01-default.conf", `rdinitdebug rd\.neednet=1`)
	does(t, v, "/init-func; sh -c 'echo sh-$((2 + 3))'", `init-func on 5 says 42(?s).*sh-5`)
	v.Send("poweroff -f\n")
	v.WaitPowerOff(time.Minute)
}

// TestDiscoveryImage: the line of the idea for Foreman, which names neither a
// kernel nor an option that dracut does not have.
func TestDiscoveryImage(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	vmtest.Need(t)
	k := vmtest.Kernel(t)
	dir, root := t.TempDir(), system(t, nil)
	shell(t, root, dir, `uname() { echo "$KERNEL_VERSION"; }
dracut() { "$BAREROOT" dracut -r "$ROOT" -k "$MODULES" "$@" "$(uname -r)"; } # the running kernel
dracut discovery-$(uname -r).img -m "base-foreman network terminfo debug udev-rules ssh-server"
`)
	v := machine(t, filepath.Join(dir, "discovery-"+k.Version+".img"), "")
	does(t, v, "/usr/sbin/sshd -V 2>&1 | head -n 3", `OpenSSH_\d`)
	does(t, v, "ls -d /usr/share/terminfo/*/linux /lib/terminfo/*/linux; ls /usr/bin/bareroot-agent*; echo agent-$?", `terminfo/l/linux(?s).*agent-0`)
	does(t, v, "cat /usr/lib/dracut/modules.txt", `sshd`)
	v.Send("poweroff -f\n")
	v.WaitPowerOff(time.Minute)
}

// TestInstallerImage: the line for RHEL's image with the quotes that the forum
// lost, and without, where it ends with 1 as dracut does.
func TestInstallerImage(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	vmtest.Need(t)
	dir, root := t.TempDir(), system(t, map[string]string{
		".buildstamp": "[Main]\nProduct=Test\n",
		"usr/lib/dracut/modules.d/80anaconda/module-setup.sh":            "exit 1\n",
		"usr/lib/dracut/modules.d/71prefixdevname-tools/module-setup.sh": "exit 1\n",
		"usr/lib/udev/prefixdevname":                                     "#!/bin/sh\n", "usr/lib/udev/rules.d/71-prefixdevname.rules": "# a rule\n",
		"usr/libexec/anaconda/dd_list": "#!/bin/sh\necho dd-list-runs\n", "usr/libexec/anaconda/dd_extract": "#!/bin/sh\n",
	})
	const options = `mkdir -p boot
dracut --nomdadmconf --nolvmconf --xz --install /.buildstamp --no-early-microcode \
--add fips --add `
	if out := shell(t, root, dir, "if "+options+`anaconda pollcdrom qemu qemu-net prefixdevname-tools \
--force boot/initramfs.img $KERNEL_VERSION; then false; else echo code-$?; fi`); !strings.Contains(out, "code-1") {
		t.Errorf("without quotes: %s", out)
	}
	said := shell(t, root, dir, options+`"anaconda pollcdrom qemu qemu-net prefixdevname-tools" \
--force boot/initramfs.img $KERNEL_VERSION
`)
	if strings.Contains(said, "left out") {
		t.Errorf("it said:\n%s", said)
	}
	img := filepath.Join(dir, "boot/initramfs.img")
	if out, err := exec.Command("sh", "-c", `LC_ALL=C grep -cUaP '\xfd7zXZ\x00' "$0"`, img).Output(); err != nil {
		t.Errorf("no xz in it: %s %v", out, err)
	}
	v := machine(t, img, "")
	does(t, v, "cat /.buildstamp; /usr/libexec/anaconda/dd_list", `Product=Test(?s).*dd-list-runs`)
	does(t, v, "eject --version", `eject from util-linux`)
	does(t, v, "modinfo -F name tcrypt || ls /usr/lib/modules/*/kernel/crypto/tcrypt*", `tcrypt`)
	v.Send("poweroff -f\n")
	v.WaitPowerOff(time.Minute)
}

// TestCompressions: the kernel reads what dracut's options name, with nothing
// after the last archive.
func TestCompressions(t *testing.T) {
	vmtest.AllOnly(t)
	vmtest.Need(t)
	for _, c := range []string{"lz4", "zstd", "no-compress"} {
		t.Run(c, func(t *testing.T) {
			t.Parallel()
			dir, root := t.TempDir(), system(t, nil)
			shell(t, root, dir, "dracut -m \"base bash\" --"+c+" --remove /etc/hosts --kver $KERNEL_VERSION x.img\n")
			v := machine(t, filepath.Join(dir, "x.img"), "")
			does(t, v, "cat /usr/lib/dracut/build-parameter.txt; ls /etc/hosts /early_cpio", `--`+c+`(?s).*/etc/hosts: No such file.*early_cpio`)
			v.Send("poweroff -f\n")
			v.WaitPowerOff(time.Minute)
		})
	}
}
