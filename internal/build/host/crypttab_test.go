package host

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCrypttab: which lines of the machine's crypttab its ramdisk needs, and what
// comes along with them.
func TestCrypttab(t *testing.T) {
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	type line struct{ Line, Key, Header, Script string }
	for name, tt := range map[string]struct {
		crypttab string
		plain    bool // the root's device has no LUKS header
		want     []line
		features string
		luks     string // the word of the root's device; "" is the usual one, "-" none
		notices  []string
	}{
		"none": {features: "crypt dm"},
		"the root's by UUID, others left out": {
			crypttab: "# <name> <device> <key> <options>\n\ndata UUID=ffffffff-0000-0000-0000-000000000000 /etc/keys/data.key luks\n" +
				"cryptroot UUID=" + strings.ToUpper(id) + " none luks,discard,tries=7\nshort\nswap /dev/sdc1 /dev/urandom swap,cipher=aes-xts-plain64\n",
			want: []line{{Line: "cryptroot UUID=" + strings.ToUpper(id) + " none luks,discard,tries=7"}}, features: "crypt dm",
		},
		"by the device it is on, whose name may change": {
			crypttab: "another /dev/sda2\n", want: []line{{Line: "another UUID=" + id + " -"}}, features: "crypt dm",
		},
		"by PARTUUID, with a key that is not asked for": {
			crypttab: "x PARTUUID=\"ab-02\" /etc/keys/root.key luks\n", want: []line{{Line: "x PARTUUID=\"ab-02\" /etc/keys/root.key luks"}}, features: "crypt dm",
			notices: []string{"/etc/keys/root.key of x is not copied"},
		},
		"a key that is asked for, and dracut's word": {
			crypttab: "cryptroot UUID=" + id + " /etc/keys/a\\040b x-initrd.attach,force,keyfile-size=32\n",
			want:     []line{{Line: "cryptroot UUID=" + id + " /etc/keys/a\\040b x-initrd.attach,keyfile-size=32", Key: "/etc/keys/a b"}}, features: "crypt dm",
		},
		"the key where systemd looks for it": {
			crypttab: "cryptroot UUID=" + id + " - x-initrd.attach\n",
			want:     []line{{Line: "cryptroot UUID=" + id + " - x-initrd.attach", Key: "/etc/cryptsetup-keys.d/cryptroot.key"}}, features: "crypt dm",
		},
		"a key on another device": {
			crypttab: "cryptroot UUID=" + id + " /root.key:LABEL=stick x-initrd.attach\n",
			want:     []line{{Line: "cryptroot UUID=" + id + " /root.key:LABEL=stick x-initrd.attach"}}, features: "crypt dm", notices: []string{"is on LABEL=stick"},
		},
		"a TPM, and what has no feature": {
			crypttab: "cryptroot UUID=" + id + " - tpm2-device=auto,fido2-device=auto\n",
			want:     []line{{Line: "cryptroot UUID=" + id + " - tpm2-device=auto,fido2-device=auto"}}, features: "crypt dm tpm2", notices: []string{"fido2-device"},
		},
		"key scripts": {
			crypttab: "cryptroot UUID=" + id + " /etc/keys/x luks,keyscript=decrypt_gnupg\n",
			want:     []line{{Line: "cryptroot UUID=" + id + " /etc/keys/x luks,keyscript=decrypt_gnupg", Script: "/lib/cryptsetup/scripts/decrypt_gnupg"}}, features: "crypt dm",
		},
		"a header of its own: no word, it cannot be found by one": {
			crypttab: "cryptroot /dev/sda2 none luks,header=/etc/luks/root.img\n",
			want:     []line{{Line: "cryptroot /dev/sda2 none luks,header=/etc/luks/root.img", Header: "/etc/luks/root.img"}}, features: "crypt dm", luks: "-",
		},
		"without LUKS": {
			crypttab: "cryptroot /dev/sda2 /dev/disk/by-id/key plain,cipher=aes-xts-plain64,size=512\n", plain: true,
			want: []line{{Line: "cryptroot /dev/sda2 /dev/disk/by-id/key plain,cipher=aes-xts-plain64,size=512"}}, features: "crypt dm", luks: "-",
		},
		"another that asks to be in": {
			crypttab: "data /dev/sdb /etc/keys/data.key x-initrd.attach,nofail\nfar UUID=11111111-0000-0000-0000-000000000000 none initramfs\n",
			want: []line{{Line: "data /dev/sdb /etc/keys/data.key x-initrd.attach,nofail", Key: "/etc/keys/data.key"},
				{Line: "far UUID=11111111-0000-0000-0000-000000000000 none initramfs"}},
			features: "crypt dm", notices: []string{"of far in crypttab is not here"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.device("pci0000:00/0000:00:1f.2", "pci:v00008086d00002922sv0sd0bc01sc06i01", "ahci")
			part := m.partition(m.sata(1, "sda"), "sda2")
			m.link("dev/disk/by-partuuid/ab-02", "dev/sda2")
			uuid := "CRYPT-LUKS2-" + strings.ReplaceAll(id, "-", "") + "-cryptroot"
			if tt.plain {
				uuid = "CRYPT-PLAIN-cryptroot"
			}
			root := m.dm(0, "cryptroot", uuid, part)
			m.dm(1, "data", "CRYPT-LUKS2-"+strings.Repeat("d", 32)+"-data", m.sata(2, "sdb"))
			m.mounted(m.dev(root), "/", "ext4", "/dev/mapper/cryptroot", "rw")
			m.file("etc/crypttab", tt.crypttab)
			h := m.read()
			var got []line
			for _, c := range h.Crypttab() {
				key, _ := c.Key()
				got = append(got, line{c.Line(), key, c.Header(), c.Script()})
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("lines (-want +got):\n%s", d)
			}
			if got := strings.Join(h.Features(), " "); got != tt.features {
				t.Errorf("features %q, want %q", got, tt.features)
			}
			words := []string{"root=/dev/mapper/cryptroot", "rootfstype=ext4", "rd.luks.name=" + id + "=cryptroot"}
			if tt.luks == "-" {
				words = words[:2]
			}
			if d := cmp.Diff(words, h.Cmdline()); d != "" {
				t.Errorf("words (-want +got):\n%s", d)
			}
			if len(h.Notices) != len(tt.notices) {
				t.Errorf("notices: %q", h.Notices)
			}
			for i, want := range tt.notices {
				if i < len(h.Notices) && !strings.Contains(h.Notices[i], want) {
					t.Errorf("notice %q does not say %q", h.Notices[i], want)
				}
			}
		})
	}
}

// TestCrypttabAside: the drivers of a device that the root is not on come along,
// but nothing waits for it.
func TestCrypttabAside(t *testing.T) {
	m := newMachine(t)
	pci := m.device("pci0000:00/0000:00:1d.0/0000:01:00.0", "pci:v00008086d0000A808sv0sd0bc01sc08i02", "nvme")
	m.mounted(m.dev(m.block(pci+"/nvme/nvme0/nvme0n1")), "/", "ext4", "/dev/nvme0n1", "rw")
	m.device("pci0000:00/0000:00:1f.2", "pci:v00008086d00002922sv0sd0bc01sc06i01", "ahci")
	m.dm(1, "data", "CRYPT-LUKS2-"+strings.Repeat("d", 32)+"-data", m.sata(2, "sdb"))
	m.file("etc/crypttab", "data /dev/sdb none force\n")
	h := m.read()
	why := map[string]string{}
	for _, mod := range h.Modules(kernel(t), Strict) {
		if strings.Contains(mod.Why, "in crypttab") {
			why[mod.Name] = mod.Why
			if mod.Required {
				t.Errorf("%s is required", mod.Name)
			}
		}
	}
	want := map[string]string{
		"ahci": "drives /dev/sdb, for data in crypttab", "dm_mod": "makes /dev/mapper/data (device-mapper), for data in crypttab",
		"dm_crypt": "makes /dev/mapper/data (encrypted, LUKS2), for data in crypttab", "sd_mod": "drives /dev/sdb, for data in crypttab",
	}
	if d := cmp.Diff(want, why); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"root=/dev/nvme0n1", "rootfstype=ext4"}, h.Cmdline()); d != "" {
		t.Errorf("words (-want +got):\n%s", d)
	}
}
