package dracut

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files and the table of the documentation")

// planCases are command lines and configurations whose meaning is kept in
// testdata/plan. @ is the root that the test makes.
var planCases = []struct {
	name string
	args []string
	conf string
}{
	{"defaults", nil, ""},
	{"defaults-ng", []string{"--compat", "ng"}, ""},
	{"tripleo", []string{"-N", "--install", "tail head awk ifconfig cut expr route ping tgtd tgtadm nc wget curl tftp",
		"--kernel-cmdline", " rdinitdebug rd.neednet=1", "--include", "/tmp/x/init-func", "/init-func", "--kver", "6.1", "--add-drivers", "virtio virtio_net virtio_blk", "out"}, ""},
	{"foreman", []string{"discovery.img", "-m", "base-foreman network terminfo debug udev-rules ssh-server"}, ""},
	{"rhel", []string{"--nomdadmconf", "--nolvmconf", "--xz", "--install", "/.buildstamp", "--no-early-microcode", "--add", "fips pollcdrom qemu qemu-net",
		"--force", "boot/initramfs-4.18.0-284.el8.x86_64.img", "4.18.0-284.el8.x86_64"}, ""},
	{"rhel-anaconda", []string{"--nomdadmconf", "--nolvmconf", "--xz", "--install", "/.buildstamp", "--no-early-microcode", "--add", "fips",
		"--add", "anaconda pollcdrom qemu qemu-net prefixdevname-tools", "--force", "boot/initramfs-4.18.0-284.el8.x86_64.img", "4.18.0-284.el8.x86_64"}, "OTHERS"},
	{"goes-on", []string{"--mount", "/nowhere", "--add-fstab", "/nonexistent", "--sshkey", "/nonexistent", "--compress", "rar", "-L", "9", "--persistent-policy", "by-nothing",
		"--fwdir", "/nonexistent"}, ""},
	{"firmware-several", []string{"--fwdir", "@/a:@/b", "--fwdir", "@/none @/b/updates"}, ""},
	{"remove", []string{"--remove", "/a /b/*", "--loginstall", "/x"}, "remove_items+=\" /c \""},
	{"modules", []string{"-m", "base systemd", "--add", "nfs drm", "--force-add", "lvm", "-o", "dash plymouth systemd-networkd btrfs url-lib lvm"}, ""},
	{"modules-all", []string{"-m", "all"}, "dracutmodules=nfs"},
	{"replaces-and-adds", []string{"-a", "lvm", "-m", "base", "-m", "nfs", "--filesystems", "ext4"}, "add_dracutmodules+=\" crypt \"\ndracutmodules=\"iscsi\"\nfilesystems=xfs\nomit_dracutmodules=\" multipath \""},
	{"drivers", []string{"--force-drivers", "i2c-dev-x snd", "--omit-drivers", "a-b virtio-net", "--add-drivers", "virtio-net =drivers/net/usb-x", "-d", "ext4 x-y"}, ""},
	{"hostonly", []string{"-H", "--no-hostonly-cmdline", "--mount", "/dev/sda1 /data ext4", "--mount", "srv:/x /nfs nfs4 ro"}, "hostonly_mode=strict"},
	{"hostonly-conf", nil, "hostonly=yes"},
	{"no-hostonly-conf-ng", []string{"--compat=ng"}, "hostonly=\"no\""},
	{"fstab", []string{"--mount", "/here", "--mount", "/dev/sda1 /data ext4 ro 1", "--add-fstab", "@/my.fstab"}, ""},
	{"files", []string{"-I", "ls /opt/*.bin", "--install-optional", "vim", "--fscks", "fsck.ext4", "--mdadmconf", "--lvmconf", "--sshkey", "@/key", "--ro-mnt"}, "install_items+=\" cat \""},
	{"compress-bzip2", []string{"--bzip2"}, ""},
	{"compress-none-wins", []string{"--no-compress", "--xz"}, ""},
	{"compress-command", []string{"--compress", "/usr/bin/zstd -19 -T0"}, ""},
	{"compress-conf", nil, "compress=xz\ncompress_level_xz=6\n"},
	{"compress-level", []string{"--zstd", "--compress-level", "7"}, ""},
	{"levels", []string{"-qq", "-v", "-L", "5"}, ""},
	{"levels-conf", []string{"-vvvvvvv"}, "stdloglvl=1"},
	{"kernel-only", []string{"--no-kernel", "--kernel-only", "--kernel-cmdline", "x"}, ""},
	{"no-kernel", []string{"--kernel-only", "--no-kernel", "--kernel-cmdline", "x", "--kernel-cmdline", "y"}, "kernel_cmdline=\"w\""},
	{"firmware", []string{"--fwdir", "/x/lib/firmware/updates/9.9:/x/lib/firmware/updates:/x/lib/firmware/9.9:/x/lib/firmware"}, ""},
	{"kmoddir", []string{"-k", "/x/lib/modules/9.9/"}, ""},
	{"notices", []string{"--strip", "--hardlink", "--reproducible"}, "do_strip=no\nreproducible=yes\nloginstall=/x\ni18n_vars=a\nhostonly_nics+=\" eth0 \"\n"},
	{"mkinitrd", nil, "MKINITRD"},
}

func machine(env map[string]string) Machine {
	return Machine{
		Release: "9.9", Getenv: func(n string) string { return env[n] },
		Mountpoint: func(d string) bool { return d == "/efi" },
		Mount: func(d string) ([]string, bool) {
			return []string{"/dev/vda2", "/here", "xfs", "rw,relatime"}, d == "/here"
		},
	}
}

func plan(t *testing.T, root, conf string, args []string, env map[string]string) (*Plan, error) {
	t.Helper()
	put(t, root, "etc/dracut.conf", conf)
	a, err := Parse(append([]string{"--sysroot", root}, args...), machine(env).Getenv)
	if err != nil {
		return nil, err
	}
	c, err := ReadConf(context.Background(), a, io.Discard)
	if err != nil {
		return nil, err
	}
	return NewPlan(a, c, machine(env))
}

func TestPlan(t *testing.T) {
	for _, tc := range planCases {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			put(t, root, "my.fstab", "/dev/sdz /z ext2 ro 0 0")
			put(t, root, "opt/a.bin", "")
			put(t, root, "opt/b.bin", "")
			put(t, root, "key", "")
			put(t, root, "key.pub", "")
			put(t, root, "etc/mdadm/mdadm.conf", "")
			put(t, root, "lib/modules/9.9/modules.dep", "")
			put(t, root, "a/x", "")
			put(t, root, "b/updates/x", "")
			conf := tc.conf
			if conf == "OTHERS" {
				conf = ""
				put(t, root, "usr/lib/dracut/modules.d/80anaconda/module-setup.sh", "exit 1\n")
				put(t, root, "usr/lib/dracut/modules.d/71prefixdevname-tools/module-setup.sh", "exit 1\n")
			}
			if conf == "MKINITRD" {
				conf = ""
				put(t, root, "etc/sysconfig/mkinitrd", "MODULES=\"e1000 pcnet32\"\n")
			}
			args := make([]string, len(tc.args))
			for i, a := range tc.args {
				args[i] = strings.ReplaceAll(a, "@", root)
			}
			p, err := plan(t, root, conf, args, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(dump(p), root, "@")
			golden := filepath.Join("testdata/plan", tc.name+".txt")
			if *update {
				put(t, ".", golden, got)
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("%s is stale; run: go test ./internal/build/dracut -update\n%s", golden, d)
			}
		})
	}
}

// dump writes a plan line by line, without what is empty.
func dump(p *Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "output %s\nlevel %d\n", p.Output, p.Level)
	if p.Force {
		b.WriteString("force\n")
	}
	for _, n := range p.Notices {
		fmt.Fprintf(&b, "notice %s\n", n)
	}
	v := reflect.ValueOf(p.Build)
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if !v.Type().Field(i).IsExported() || f.IsZero() || name == "Extra" || name == "TwoParts" || name == "GoOn" {
			continue
		}
		fmt.Fprintf(&b, "%s %v\n", name, f.Interface())
	}
	for _, x := range p.Build.Extra {
		text := x.Data
		if x.OfFeatures != nil {
			text = x.OfFeatures([]string{"base", "kernel-modules", "url", "shell", "discover"})
		}
		fmt.Fprintf(&b, "Extra %s %04o (%s)\n\t%s\n", x.Path, x.Mode, x.Why, strings.ReplaceAll(strings.TrimSuffix(string(text), "\n"), "\n", "\n\t"))
	}
	return b.String()
}

func TestPlanErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		conf string
		want string
	}{
		"third-party":      {[]string{"-a", "anaconda"}, "", `module "anaconda" cannot be found: it is none of dracut's own`},
		"not here":         {[]string{"-a", "plymouth selinux"}, "", `module "selinux" cannot be installed: it is one of dracut's own that is not here yet`},
		"in configuration": {nil, `add_dracutmodules+=" zfs "`, `module "zfs" cannot be found`},
		"mode":             {[]string{"-H", "--hostonly-mode", "x"}, "", `hostonly mode "x"`},
		"kmoddir":          {[]string{"-k", "/lib/modules/1"}, "", "is not of kernel 9.9"},
		"kmoddir parent":   {[]string{"-k", "/x/9.9"}, "", "is not in a folder lib/modules"},
		"kver":             {[]string{"--kver", "../x"}, "", "no kernel version"},
		"level":            {[]string{"-L", "x"}, "", `log level "x"`},
		"anaconda, -H":     {[]string{"-H", "-a", "anaconda"}, "ANACONDA", "not for an image of one machine"},
		"tmpdir":           {[]string{"--tmpdir", "/nonexistent"}, "", "--tmpdir /nonexistent"},
		"compress level":   {[]string{"--zstd", "--compress-level", "x"}, "", `compression level "x"`},
		"mount, no type":   {[]string{"--mount", "/dev/a /b"}, "", "type is missing"},
		"uefi":             {nil, "uefi=yes", "uefi=yes in the configuration: UEFI executables"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if tc.conf == "ANACONDA" {
				put(t, root, "usr/lib/dracut/modules.d/80anaconda/module-setup.sh", "exit 1\n")
				tc.conf = ""
			}
			if _, err := plan(t, root, tc.conf, tc.args, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	p, err := plan(t, t.TempDir(), "compress=xz", nil, map[string]string{"INITRD_COMPRESS": "lz4"})
	if err != nil || p.Build.Compress != "lz4" {
		t.Errorf("INITRD_COMPRESS: %v", err)
	}
	p, err = plan(t, t.TempDir(), "", []string{"-k", "/x/y"}, map[string]string{"DRACUT_KMODDIR_OVERRIDE": "1"})
	if err != nil || p.Build.ModulesDir != "/x/y" {
		t.Errorf("DRACUT_KMODDIR_OVERRIDE: %v", err)
	}
	root := t.TempDir()
	put(t, root, "opt/x/ls", "")
	put(t, root, "opt/y/ls", "")
	p, err = plan(t, root, "", []string{"--install", "ls cat /bin/ls"}, map[string]string{"DRACUT_INSTALL_PATH": "/opt/x:/opt/y", "DRACUT_LDD": "ldd"})
	if err != nil || !slices.Equal(p.Build.Install, []string{"/opt/x/ls", "/opt/y/ls", "cat", "/bin/ls"}) {
		t.Errorf("DRACUT_INSTALL_PATH: %v, %v", p.Build.Install, err)
	}
	if !slices.Contains(p.Notices, "DRACUT_LDD in the environment has no effect: no such program is run") {
		t.Errorf("DRACUT_LDD: %q", p.Notices)
	}
}

func TestOutput(t *testing.T) {
	for name, tc := range map[string]struct {
		files []string
		args  []string
		conf  string
		want  string
	}{
		"plain":              {nil, nil, "", "/boot/initramfs-9.9.img"},
		"debian":             {[]string{"etc/debian_version"}, nil, "", "/boot/initrd.img-9.9"},
		"named":              {[]string{"etc/debian_version"}, nil, "initrdname=initrd-9.9", "/boot/initrd-9.9"},
		"other kernel":       {nil, []string{"--kver", "1.2"}, "", "/boot/initramfs-1.2.img"},
		"beside the modules": {[]string{"lib/modules/9.9/initrd"}, nil, "", "/lib/modules/9.9/initrd"},
		"boot loader":        {[]string{"etc/machine-id", "efi/loader/entries/x", "efi/0123/x"}, nil, "", "/efi/0123/9.9/initrd"},
		"boot loader, boot":  {[]string{"etc/machine-id", "boot/loader/entries/x", "boot/0123/x"}, nil, "", "/boot/0123/9.9/initrd"},
		"not this machine's": {[]string{"etc/machine-id", "boot/loader/entries/x", "boot/4567/x"}, nil, "", "/boot/initramfs-9.9.img"},
		"default folder":     {[]string{"etc/machine-id", "boot/efi/loader/entries/x", "boot/efi/Default/x"}, nil, "", "/boot/efi/Default/9.9/initrd"},
		"no machine id":      {[]string{"etc/machine-id", "efi/loader/entries/x", "efi/0123/x"}, []string{"--no-machineid"}, "", "/boot/initramfs-9.9.img"},
		"newest, ng":         {[]string{"lib/modules/5.9/a", "lib/modules/5.10/a"}, []string{"--compat=ng"}, "", "/boot/initramfs-5.10.img"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, f := range tc.files {
				put(t, root, f, "0123\n")
			}
			p, err := plan(t, root, tc.conf, tc.args, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimPrefix(p.Output, root); got != tc.want {
				t.Errorf("output %s, want %s", got, tc.want)
			}
		})
	}
	// Through a link, as dracut does.
	root := t.TempDir()
	real := put(t, root, "real.img", "")
	if err := os.Symlink(real, filepath.Join(root, "link.img")); err != nil {
		t.Fatal(err)
	}
	if p, err := plan(t, root, "", []string{filepath.Join(root, "link.img")}, nil); err != nil || p.Output != real {
		t.Errorf("through a link: %v, %v", p, err)
	}
}
