package build

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHostonlyFeatures: what a feature brings by itself is for machines not
// known; of one that this machine's root needs, the strict mode takes what the
// machine uses, and NICs are never more than the machine's.
func TestHostonlyFeatures(t *testing.T) {
	_, o := sysroot(t)
	tree := "usr/lib/modules/6.1.0-10/"
	dep := ""
	for _, m := range []string{"fs/nfs/nfs", "fs/nfs/nfsv3", "fs/nfs/nfsv4", "fs/nfs/blocklayout", "net/packet/af_packet", "drivers/net/ethernet/intel/e1000/e1000", "drivers/net/ethernet/other"} {
		put(t, o.Sysroot, tree+"kernel/"+m+".ko", signed(m))
		dep += "kernel/" + m + ".ko:\n"
	}
	put(t, o.Sysroot, tree+"modules.dep", []byte(dep))
	machine := t.TempDir()
	const nic = "sys/devices/pci0000:00/0000:00:03.0"
	for name, text := range map[string]string{
		"proc/modules": "", "proc/cmdline": "ip=dhcp\n", "proc/self/mountinfo": "1 0 0:20 / / rw - nfs4 192.0.2.1:/root rw,vers=4.2,addr=192.0.2.1\n",
		"proc/net/route":  "Iface\tDestination\teth0\neth0\t00000000\t010A000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
		nic + "/modalias": "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00\n", nic + "/net/eth0/address": "52:54:00:00:00:01\n",
	} {
		put(t, machine, name, []byte(text))
	}
	if err := os.MkdirAll(filepath.Join(machine, "sys/class/net"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../devices/pci0000:00/0000:00:03.0/net/eth0", filepath.Join(machine, "sys/class/net/eth0")); err != nil {
		t.Fatal(err)
	}
	o.Roles, o.Hostonly, o.HostRoot = nil, true, machine
	for mode, want := range map[string][]string{
		"strict": {"e1000", "af_packet", "nfs", "nfsv4"},
		"sloppy": {"e1000", "af_packet", "nfs", "nfsv4", "blocklayout", "nfsv3"},
	} {
		o.HostonlyMode = mode
		r, err := plan(t, o)
		if err != nil {
			t.Fatal(err)
		}
		have, wanted := map[string]bool{}, map[string]bool{}
		for _, c := range r.modules {
			have[c.Module.Name] = true
		}
		for _, n := range want {
			wanted[n] = true
		}
		if d := cmp.Diff(wanted, have); d != "" {
			t.Errorf("%s (-want +got):\n%s", mode, d)
		}
	}
}
