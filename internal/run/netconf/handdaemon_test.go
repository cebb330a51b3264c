package netconf

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

// TestHandOverNetworkd gives an interface with a lease to the distribution's own
// systemd-networkd: the address must be there all the time, be renewed by it,
// and no second one come.
func TestHandOverNetworkd(t *testing.T) {
	if elsewhere(t) {
		return
	}
	const program = "/lib/systemd/systemd-networkd"
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v: install systemd", err)
	}
	if m, err := os.ReadFile("/proc/self/uid_map"); err != nil || len(strings.Fields(string(m))) != 3 || strings.Fields(string(m))[2] == "1" {
		t.Skipf("networkd becomes another user, whom this namespace does not have: run the test as root (%q, %v)", m, err)
	}
	w := wire(t)
	s := handedOver(t, w, true, networkd)
	// With a read-only /sys it takes itself to be in a container, where no udev
	// says that a device is ready.
	cmd := exec.Command("unshare", "-m", "sh", "-c", "mount -t sysfs -o ro sysfs /sys && exec "+program)
	cmd.Env = append(os.Environ(), "SYSTEMD_LOG_LEVEL=debug", "SYSTEMD_LOG_TARGET=console")
	out := &safeBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("networkd:\n%s", out)
		}
	})
	always := []string{"10.1.0.55/24"}
	w.eventually("networkd has a lease", func() bool {
		if d := cmp.Diff(always, w.addresses("eth0")); d != "" {
			t.Fatalf("the address on the way: %s", d)
		}
		return strings.Contains(out.String(), "eth0: State changed: configuring -> configured")
	})
	if !strings.Contains(s.out.String()[strings.Index(s.out.String(), "DHCPACK")+8:], "DHCPACK") {
		t.Error("networkd has not asked the server")
	}
	if d := cmp.Diff(always, w.addresses("eth0")); d != "" {
		t.Error(d)
	}
}

// handedOver brings eth0 up, hands it to a root that needs it, and puts the
// files where they are in a running root.
func handedOver(t *testing.T, w *wires, needed bool, keeper string) *server {
	t.Helper()
	w.plug("eth0", mac0, "sw0")
	address, pool := lan(1)
	s := w.dnsmasq("sw0", address, pool, "--dhcp-host=id:01:"+mac0+",10.1.0.55")
	m := w.boot("ip=dhcp rd.neednet=1")
	w.up(m)
	root := t.TempDir()
	wants := filepath.Join(root, "etc/systemd/system/multi-user.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		t.Fatal(err)
	}
	if keeper != "" {
		if err := os.Symlink("x", filepath.Join(wants, keeper+".service")); err != nil {
			t.Fatal(err)
		}
	}
	m.HandOver(root, needed)
	m.Close()
	if got := w.said("nothing in the root renews the lease of 10.1.0.55 on eth0"); got != (needed && keeper != networkManager && keeper != networkd) {
		t.Errorf("that the address stays for ever is said: %v", got)
	}
	err := filepath.WalkDir(filepath.Join(w.root, "run"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(w.root, p)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		t.Logf("%s\n%s", rel, b)
		st, err := d.Info()
		if err != nil {
			return err
		}
		if err := write("/", file{rel, st.Mode().Perm(), string(b)}); err != nil {
			return err
		}
		t.Cleanup(func() { _ = os.Remove("/" + rel) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// bus is a system bus that lets everybody do everything.
const bus = `<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>`

// TestHandOverOthers: what becomes of the address by what the root has.
func TestHandOverOthers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		needed bool
		keeper string
		want   string // the address with its lifetime
	}{
		"nothing renews, not needed": {false, "", "10.1.0.55 3600"},
		"nothing renews, needed":     {true, "", "10.1.0.55 4294967295"},
		"ifupdown, needed":           {true, ifupdown, "10.1.0.55 4294967295"},
		"ifupdown, not needed":       {false, ifupdown, "down"},
		"networkd, not needed":       {false, networkd, "10.1.0.55 3600"},
		"networkd, needed":           {true, networkd, "10.1.0.55 3600"},
	} {
		t.Run(name, func(t *testing.T) {
			if elsewhere(t) {
				return
			}
			w := wire(t)
			handedOver(t, w, c.needed, c.keeper)
			l, err := netlink.LinkByName("eth0")
			if err != nil {
				t.Fatal(err)
			}
			addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_V4) })
			if err != nil {
				t.Fatal(err)
			}
			got := "down"
			if l.Attrs().Flags&net.FlagUp != 0 {
				got = ""
			}
			for _, a := range addrs {
				life := uint32(a.ValidLft)
				if life > 3500 && life <= 3600 {
					life = 3600
				}
				got += fmt.Sprint(a.IP, " ", life)
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if st, err := os.Stat("/run/network/ifstate"); (err == nil) != (c.needed && c.keeper == ifupdown) {
				t.Errorf("ifstate: %v, %v", st, err)
			}
		})
	}
}

// TestHandOverNetworkManager does the same with NetworkManager.
func TestHandOverNetworkManager(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"NetworkManager", "dbus-daemon"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%v: install network-manager where it may manage the network, or a copy of it in PATH", err)
		}
	}
	for name, needed := range map[string]bool{"the root hangs on it": true, "the root does not": false} {
		t.Run(name, func(t *testing.T) {
			if !elsewhere(t) {
				underNetworkManager(t, needed)
			}
		})
	}
}

func underNetworkManager(t *testing.T, needed bool) {
	w := wire(t)
	s := handedOver(t, w, needed, networkManager)
	dir := t.TempDir()
	for name, text := range map[string]string{"bus.conf": bus, "nm.conf": "[main]\nplugins=keyfile\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll("/run/dbus", 0o755); err != nil {
		t.Fatal(err)
	}
	out := &safeBuffer{}
	for _, line := range []string{"exec dbus-daemon --nofork --nopidfile --config-file=" + dir + "/bus.conf",
		"mount -t sysfs -o ro sysfs /sys && mkdir -p " + dir + "/state && mount --bind " + dir + "/state /var/lib && exec NetworkManager --debug --log-level=DEBUG --config=" + dir + "/nm.conf"} {
		cmd := exec.Command("unshare", "-m", "sh", "-c", line)
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		w.eventually("the bus is there", func() bool { _, err := os.Stat("/run/dbus/system_bus_socket"); return err == nil })
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("NetworkManager:\n%s", out)
		}
	})
	always := []string{"10.1.0.55/24"}
	w.eventually("NetworkManager has taken it over", func() bool {
		if d := cmp.Diff(always, w.addresses("eth0")); d != "" && needed {
			t.Fatalf("the address on the way: %s", d)
		}
		return strings.Contains(out.String(), "device (eth0): Activation: successful")
	})
	if strings.Contains(out.String(), "sys-iface-state: 'assume'") != needed {
		t.Errorf("NetworkManager has begun anew: %v", needed)
	}
	if !strings.Contains(out.String(), "bareroot eth0") || !strings.Contains(s.out.String()[strings.Index(s.out.String(), "DHCPACK")+8:], "DHCPACK") {
		t.Error("NetworkManager has not asked the server")
	}
	if d := cmp.Diff(always, w.addresses("eth0")); d != "" {
		t.Error(d)
	}
}
