package ifname

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree makes a sysfs below a directory of the test: a path ending in "/" is a
// device, "a -> b" a symlink (b below the tree), "a = text" a file.
func tree(t *testing.T, text string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put := func(path, data string) {
		p := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if from, to, ok := strings.Cut(line, " -> "); ok {
			p := filepath.Join(root, from)
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(root, to), p); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if path, data, ok := strings.Cut(line, " = "); ok {
			put(path, strings.NewReplacer(`\n`, "\n", `\0`, "\x00").Replace(data))
			continue
		}
		// A device: PATH SUBSYSTEM.
		path, sub, _ := strings.Cut(line, " ")
		put(path+"/uevent", "")
		if err := os.MkdirAll(filepath.Join(root, "bus", sub), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(root, "bus", sub), filepath.Join(root, path, "subsystem")); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// nic is an ordinary Ethernet interface at path.
func nic(path string) string {
	return path + " net\nclass/net/eth0 -> " + path + "\n" + path + "/type = 1\n" + path + "/ifindex = 2\n" + path + "/iflink = 2\n" +
		path + "/address = 52:54:00:12:34:56\n" + path + "/addr_assign_type = 0\n" + path + "/name_assign_type = 1\n"
}

const (
	card   = "devices/pci0000:00/0000:00:1f.6"
	onCard = card + "/net/eth0"
	mac    = "enx525400123456"
)

func TestRead(t *testing.T) {
	port := "devices/pci0000:00/0000:00:02.0"
	behind := port + "/0000:03:00.0"
	for name, tc := range map[string]struct {
		sys    string
		want   Names
		choice string
	}{
		"PCI": {card + " pci\n" + nic(onCard), Names{Path: "enp0s31f6", MAC: mac}, "enp0s31f6"},
		"virtio on PCI": {"devices/pci0000:00/0000:00:03.0 pci\ndevices/pci0000:00/0000:00:03.0/virtio0 virtio\n" + nic("devices/pci0000:00/0000:00:03.0/virtio0/net/eth0"),
			Names{Path: "enp0s3", MAC: mac}, "enp0s3"},
		"function 0 of several":    {behind + " pci\n" + behind + "/config = 00000000000000\xff\n" + nic(behind+"/net/eth0"), Names{Path: "enp3s0f0", MAC: mac}, "enp3s0f0"},
		"domain":                   {"devices/pci10000:00/10000:01:00.0 pci\n" + nic("devices/pci10000:00/10000:01:00.0/net/eth0"), Names{Path: "enP65536p1s0", MAC: mac}, "enP65536p1s0"},
		"ARI":                      {"devices/pci0000:00/0000:01:01.3 pci\ndevices/pci0000:00/0000:01:01.3/ari_enabled = 1\n" + nic("devices/pci0000:00/0000:01:01.3/net/eth0"), Names{Path: "enp1s1f11", MAC: mac}, "enp1s1f11"},
		"ACPI index before SMBIOS": {card + " pci\n" + card + "/acpi_index = 7\n" + card + "/index = 1\n" + nic(onCard), Names{Onboard: "eno7", Path: "enp0s31f6", MAC: mac}, "eno7"},
		"SMBIOS index, port":       {card + " pci\n" + card + "/index = 1\n" + nic(onCard) + onCard + "/dev_port = 1\n", Names{Onboard: "eno1d1", Path: "enp0s31f6d1", MAC: mac}, "eno1d1"},
		"index 0":                  {card + " pci\n" + card + "/acpi_index = 0\n" + nic(onCard), Names{Onboard: "eno0", Path: "enp0s31f6", MAC: mac}, "eno0"},
		"rubbish index":            {card + " pci\n" + card + "/index = 16777215\n" + nic(onCard), Names{Path: "enp0s31f6", MAC: mac}, "enp0s31f6"},
		"name of the port":         {card + " pci\n" + nic(onCard) + onCard + "/phys_port_name = p0\n" + onCard + "/dev_port = 1\n", Names{Path: "enp0s31f6np0", MAC: mac}, "enp0s31f6np0"},
		"name too long": {card + " pci\n" + card + "/acpi_index = 3\n" + nic(onCard) + onCard + "/phys_port_name = left-of-the-two\n",
			Names{Onboard: "eno3nleft-of-the-two", Path: "enp0s31f6nleft-of-the-two", MAC: mac}, "eth0"},
		"slot": {behind + " pci\nbus/pci/slots/4/address = 0000:03:00\nbus/pci/slots/4-1/address = 0000:03:00\n" + nic(behind+"/net/eth0"), Names{Slot: "ens4", Path: "enp3s0", MAC: mac}, "ens4"},
		"slot of a bridge, one function": {port + " pci\n" + port + "/modalias = pci:v00001B36d0000000Csv0sd0bc06sc04i00\n" + behind + " pci\nbus/pci/slots/2/address = 0000:00:02\n" + nic(behind+"/net/eth0"),
			Names{Path: "enp3s0", MAC: mac}, "enp3s0"},
		"slot of a bridge, several functions": {port + " pci\n" + port + "/modalias = pci:v00001B36d0000000Csv0sd0bc06sc04i00\n" + behind + " pci\n" + behind + "/config = 00000000000000\xff\n" +
			"bus/pci/slots/2/address = 0000:00:02\n" + nic(behind+"/net/eth0"), Names{Slot: "ens2f0", Path: "enp3s0f0", MAC: mac}, "ens2f0"},
		"virtual function": {behind + " pci\n" + port + "/0000:03:10.2 pci\n" + port + "/0000:03:10.2/physfn -> " + behind + "\n" + behind + "/virtfn12 -> " + port + "/0000:03:10.2\n" +
			nic(port+"/0000:03:10.2/net/eth0"), Names{Path: "enp3s0v12", MAC: mac}, "enp3s0v12"},
		"USB": {"devices/pci0000:00/0000:00:14.0 pci\ndevices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.4 usb\ndevices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.4/1-1.4:1.0 usb\n" +
			nic("devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.4/1-1.4:1.0/net/eth0") + "devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.4/1-1.4:1.0/uevent = DEVTYPE=usb_interface\\nPRODUCT=1\\n",
			Names{Path: "enp0s20u1u4", MAC: mac}, "enp0s20u1u4"},
		"USB, second configuration": {"devices/pci0000:00/0000:00:14.0 pci\ndevices/pci0000:00/0000:00:14.0/2-3:2.1 usb\n" + nic("devices/pci0000:00/0000:00:14.0/2-3:2.1/net/eth0") +
			"devices/pci0000:00/0000:00:14.0/2-3:2.1/uevent = DEVTYPE=usb_interface\n", Names{Path: "enp0s20u3c2i1", MAC: mac}, "enp0s20u3c2i1"},
		"another bus below PCI": {card + " pci\n" + card + "/thing0 thing\n" + nic(card+"/thing0/net/eth0"), Names{MAC: mac}, "eth0"},
		"bcma":                  {card + " pci\n" + card + "/bcma0:2 bcma\n" + nic(card+"/bcma0:2/net/eth0"), Names{Path: "enp0s31f6b2", MAC: mac}, "enp0s31f6b2"},
		"WLAN":                  {card + " pci\n" + nic(onCard) + onCard + "/uevent = DEVTYPE=wlan\n", Names{Path: "wlp0s31f6", MAC: "wlx525400123456"}, "wlp0s31f6"},
		"InfiniBand": {card + " pci\n" + strings.ReplaceAll(nic(onCard), "type = 1\n", "type = 32\n") + onCard + "/dev_id = 0x1\n",
			Names{Path: "ibp0s31f6d1"}, "ibp0s31f6d1"},
		"ACPI platform": {"devices/platform/HISI00C2:10 platform\n" + nic("devices/platform/HISI00C2:10/net/eth0"), Names{Path: "enahisic2i16", MAC: mac}, "enahisic2i16"},
		"device tree": {"devices/platform/1c30000.ethernet platform\ndevices/platform/1c30000.ethernet/of_node -> firmware/devicetree/base/soc/ethernet@1c30000\n" +
			"firmware/devicetree/base/soc/ethernet@1c30000/reg = 1\nfirmware/devicetree/base/aliases/ethernet1 = /soc/ethernet@1c30000\\0\n" + nic("devices/platform/1c30000.ethernet/net/eth0"),
			Names{Onboard: "end1", MAC: mac}, "end1"},
		"Xen":              {"devices/vif-0 xen\n" + nic("devices/vif-0/net/eth0"), Names{Slot: "enX0", MAC: mac}, "enX0"},
		"random address":   {card + " pci\n" + strings.Replace(nic(onCard), "addr_assign_type = 0", "addr_assign_type = 1", 1), Names{Path: "enp0s31f6"}, "enp0s31f6"},
		"no hardware":      {nic("devices/virtual/net/eth0"), Names{MAC: mac}, "eth0"},
		"VLAN":             {strings.Replace(nic("devices/virtual/net/eth0"), "iflink = 2", "iflink = 1", 1), Names{}, "eth0"},
		"named by a user":  {card + " pci\n" + strings.Replace(nic(onCard), "name_assign_type = 1", "name_assign_type = 4", 1), Names{Path: "enp0s31f6", MAC: mac}, "eth0"},
		"named for sure":   {card + " pci\n" + strings.Replace(nic(onCard), "name_assign_type = 1", "name_assign_type = 2", 1), Names{Path: "enp0s31f6", MAC: mac}, "eth0"},
		"no Ethernet":      {strings.Replace(nic("devices/virtual/net/eth0"), "/type = 1", "/type = 772", 1), Names{}, "eth0"},
		"PCI, no address?": {"devices/pci0000:00/odd pci\n" + nic("devices/pci0000:00/odd/net/eth0"), Names{MAC: mac}, "eth0"},
	} {
		t.Run(name, func(t *testing.T) {
			sys := tree(t, tc.sys)
			got, err := Read(sys, "eth0")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
			choice, why, err := Choose(sys, "eth0")
			if err != nil || choice != tc.choice {
				t.Errorf("chosen %q (%s), %v; want %q", choice, why, err, tc.choice)
			}
		})
	}
}

func TestReadMissing(t *testing.T) {
	if _, _, err := Choose(tree(t, card+" pci"), "eth7"); err == nil || !strings.Contains(err.Error(), "eth7") {
		t.Errorf("%v; want an error that names eth7", err)
	}
}
