// Package net boots ramdisks whose network is not one NIC with DHCP: bonds,
// VLANs, bridges, IPv6, cables that are out. What needs no kernel of its own is
// tested in internal/run/netconf, in namespaces.
package net

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"bareroot/internal/hosttool"
	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

func TestMain(m *testing.M) { vmtest.Main(m) }

// boot is what a boot may take on a slow, busy host.
const boot = 4 * time.Minute

// show is what the root says about the network that it was handed.
const show = `
echo HOST $(hostname)
ip addr | grep -v link/ | grep -v lft
ip route
for f in /run/net-*.conf /etc/resolv.conf; do [ -e $f ] && echo FILE $f && cat $f; done
for b in /proc/net/bonding/*; do [ -e $b ] && cat $b; done
echo SHOWN
`

// ramdisk has all that a network can be made of.
func ramdisk(t *testing.T) string {
	t.Helper()
	return vmtest.Ramdisk(t, "--add-feature", "bond bridge vlan team")
}

// machine has n NICs, and a root on a disk that runs script.
func machine(t *testing.T, n int, words, script string) qemu.Spec {
	t.Helper()
	s := vmtest.Direct(t, ramdisk(t), "root=/dev/vda rd.neednet=1 rd.debug "+words, qemu.Disk{Path: vmtest.MarkerRoot(t, 32<<20, script)})
	s.Name = strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	s.Name = s.Name[:min(len(s.Name), 30)]
	s.NICs = make([]qemu.NIC, n)
	return s
}

// dnsmasq serves on an interface of this process's namespace until the test ends.
func dnsmasq(t *testing.T, nic string, words ...string) {
	t.Helper()
	dir := t.TempDir()
	// As a daemon it would change its user, which a namespace of one user refuses.
	cmd := exec.Command("dnsmasq", append([]string{"--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=" + nic, "--bind-interfaces", "--no-ping", "--log-dhcp", "--log-facility=-", "--pid-file=" + dir + "/pid", "--dhcp-leasefile=" + dir + "/leases"}, words...)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("dnsmasq on %s:\n%s", nic, out.String())
		}
	})
}

// pool is DHCP on the bridge.
const pool = "--dhcp-range=10.77.0.50,10.77.0.60,255.255.255.0,1h"

// lanAddress puts an address on a device, for as long as the test runs.
func lanAddress(t *testing.T, dev, address string) {
	t.Helper()
	l, err := netlink.LinkByName(dev)
	if err != nil {
		t.Fatal(err)
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrReplace(l, a); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.AddrDel(l, a) })
}

// cable plugs or unplugs NIC i of a machine.
func cable(t *testing.T, v *vmtest.VM, i int, in bool) {
	t.Helper()
	if err := v.SetLink(t.Context(), i, in); err != nil {
		t.Fatal(err)
	}
}

// TestBondVLAN: a VLAN on a bond of two NICs, of which one has no cable. DHCP
// is in the VLAN only. The root finds the address, and keeps it when the
// cables change places.
func TestBondVLAN(t *testing.T) {
	s := machine(t, 2, "bond=bond0:enp0s2,enp0s3:mode=active-backup,miimon=100,primary=enp0s2 vlan=bond0.5:bond0 ip=bond0.5:dhcp", show+`
i=0
while [ $i -lt 60 ]; do ping -c 1 -w 2 10.78.0.1 >/dev/null && grep -q "Currently Active Slave: enp0s2" /proc/net/bonding/bond0 && echo STILL-THERE && break; i=$((i+1)); done`)
	v := vmtest.New(t, s)
	trunk := tagged(t, v, "vl5", 5)
	lanAddress(t, trunk, "10.78.0.1/24")
	dnsmasq(t, trunk, "--dhcp-range=10.78.0.50,10.78.0.60,255.255.255.0,1h", "--dhcp-option=option:dns-server,10.78.0.1")
	v.PowerOn()
	cable(t, v, 0, false)
	v.Expect(vmtest.Marker, boot)
	v.Expect(`inet 10\.78\.0\.\d+/24 brd 10\.78\.0\.255 .* bond0\.5`, time.Minute)
	v.Expect(`default via 10\.78\.0\.1 dev bond0\.5`, time.Minute)
	v.Expect(`FILE /run/net-bond0.5.conf\s+DEVICE='bond0.5'\s+PROTO='dhcp'\s+IPV4ADDR='10\.78\.0\.`, time.Minute)
	v.Expect(`Bonding Mode: fault-tolerance \(active-backup\)`, time.Minute)
	v.Expect(`Currently Active Slave: enp0s3`, time.Minute)
	v.Expect(`Slave Interface: enp0s2\s+MII Status: down`, time.Minute)
	v.Expect(`SHOWN`, time.Minute)
	cable(t, v, 0, true)
	cable(t, v, 1, false)
	v.Expect(`STILL-THERE`, 2*time.Minute)
	v.WaitPowerOff(time.Minute)
	if strings.Contains(v.Text(), "bareroot: bond bond0: ") {
		t.Error("an option of the bond was refused")
	}
}

// TestBondModes makes a bond of each mode, with options of each kind.
func TestBondModes(t *testing.T) {
	vmtest.AllOnly(t)
	modes := map[string]string{
		"b0": "mode=balance-rr,packets_per_slave=2", "b1": "mode=1,num_grat_arp=3,fail_over_mac=1,primary_reselect=better,updelay=200", "b2": "mode=balance-xor,xmit_hash_policy=layer2+3",
		"b3": "mode=broadcast,arp_interval=500,arp_ip_target=10.77.0.1;10.77.0.2", "b4": "mode=802.3ad,lacp_rate=fast,ad_select=bandwidth,min_links=1",
		"b5": "mode=balance-tlb,tlb_dynamic_lb=0", "b6": "mode=balance-alb,downdelay=200", "b7": "mode=1,nonsense=1",
	}
	words := "ip=eth0:dhcp team=tm0:ethz1:lacp"
	for name, options := range modes {
		words += fmt.Sprintf(" bond=%s:ethx%s:%s", name, name, options)
	}
	s := machine(t, 1, words, `cd /sys/class/net; mount -t sysfs s /sys; cd /sys/class/net
for b in b? tm0; do echo BOND $b $(cat $b/bonding/mode) / $(cat $b/bonding/miimon $b/bonding/xmit_hash_policy $b/bonding/lacp_rate $b/bonding/arp_ip_target $b/bonding/fail_over_mac $b/bonding/tlb_dynamic_lb $b/bonding/packets_per_slave); done`)
	dnsmasq(t, "br0", pool)
	v := vmtest.Boot(t, s)
	v.Expect(`team=tm0 is made as a bond with mode 802.3ad: there is no teamd in the ramdisk`, boot)
	v.Expect(vmtest.Marker, boot)
	for _, want := range []string{`b0 balance-rr 0 / 100 .* 2`, `b1 active-backup 1 / 100 .* active 1`, `b2 balance-xor 2 / 100 layer2\+3 2`, `b3 broadcast 3 / 0 .* 10.77.0.1 10.77.0.2`,
		`b4 802.3ad 4 / 100 .* fast 1`, `b5 balance-tlb 5 / 100 .* 0 \d+\n`, `b6 balance-alb 6 / 100`, `b7 active-backup 1`, `tm0 802.3ad 4 / 100`} {
		v.Expect(`BOND `+want, time.Minute)
	}
	v.WaitPowerOff(time.Minute)
	text := v.Text()
	if n := strings.Count(text, ": set "); n != 1 || !strings.Contains(text, "bond b7: set nonsense=1") {
		t.Errorf("%d options were refused", n)
	}
}

// TestOneCable: three NICs of two kinds, one cable: nothing waits for the
// others, which are left off.
func TestOneCable(t *testing.T) {
	vmtest.AllOnly(t)
	s := machine(t, 3, "", show)
	s.NICs[0].Model, s.NICs[2].Model = "e1000e", "e1000"
	dnsmasq(t, "br0", pool)
	v := vmtest.New(t, s)
	v.PowerOn()
	cable(t, v, 0, false)
	cable(t, v, 2, false)
	v.Expect(`lease 10\.77\.0\.\d+ on (\S+) (\S+) s after start`, boot)
	v.Expect(vmtest.Marker, boot)
	v.Expect(`SHOWN`, time.Minute)
	v.WaitPowerOff(time.Minute)
	if strings.Contains(v.Text(), "waiting for the network") {
		t.Error("it waited")
	}
}

// TestCableLater: no cable at first; then it is pulled in the middle of DHCP.
// The wait says each, and goes on when it is plugged in.
func TestCableLater(t *testing.T) {
	vmtest.AllOnly(t)
	v := vmtest.New(t, machine(t, 1, "ip=eth0:dhcp rd.net.timeout.carrier=3", show))
	v.PowerOn()
	cable(t, v, 0, false)
	v.Expect(`waiting for the network: eth0: no carrier \(cable\?\)`, boot)
	cable(t, v, 0, true)
	v.Expect(`waiting for the network: eth0: no answer to \d+ DHCP discovers`, time.Minute)
	cable(t, v, 0, false)
	v.Expect(`waiting for the network: eth0: no carrier \(cable\?\)`, time.Minute)
	dnsmasq(t, "br0", pool)
	cable(t, v, 0, true)
	v.Expect(`lease 10\.77\.0\.\d+ on eth0`, time.Minute)
	v.Expect(`inet 10\.77\.0\.\d+/24`, boot)
	v.WaitPowerOff(time.Minute)
}

// TestSilence: nobody answers DHCP; the boot ends after rd.retry with the reason.
func TestSilence(t *testing.T) {
	vmtest.AllOnly(t)
	v := vmtest.Boot(t, machine(t, 1, "ip=eth0:dhcp rd.retry=8 rd.shell=0 bareroot.emergency.delay=0 rd.emergency=poweroff", show))
	v.Expect(`stage initqueue: no network within 8s: eth0: no answer to \d+ DHCP discovers in \d+ s`, boot)
	v.WaitPowerOff(time.Minute)
}

// TestStaticBridge: a bridge with a static address of IPv4, a static address
// of IPv6 on another NIC, routes and name servers.
func TestStaticBridge(t *testing.T) {
	vmtest.AllOnly(t)
	v := vmtest.Boot(t, machine(t, 2, "bridge=br5:enp0s2 ip=10.77.0.9:10.77.0.1:10.77.0.1:255.255.255.0:node9:br5:none ip=[fd77::9]::[fd77::1]:64::enp0s3:none "+
		"nameserver=10.77.0.3 rd.route=192.0.2.0/24:10.77.0.7:br5", show))
	v.Expect(`HOST node9`, boot)
	v.Expect(`inet 10\.77\.0\.9/24`, time.Minute)
	v.Expect(`default via 10\.77\.0\.1 dev br5`, time.Minute)
	v.Expect(`192\.0\.2\.0/24 via 10\.77\.0\.7 dev br5`, time.Minute)
	v.WaitPowerOff(time.Minute)
	if !strings.Contains(v.Text(), "inet6 fd77::9/64") {
		t.Error("the address of IPv6 is missing")
	}
}

// TestIPv6Only: a network without IPv4, by both methods.
func TestIPv6Only(t *testing.T) {
	vmtest.AllOnly(t)
	for method, words := range map[string][]string{
		"auto6":   {"--dhcp-range=fd77::,ra-only,64,1h"},
		"either6": {"--dhcp-range=fd77::100,fd77::1ff,64,1h"},
	} {
		t.Run(method, func(t *testing.T) {
			dnsmasq(t, "br0", append(words, "--enable-ra", "--dhcp-option=option6:dns-server,[fd77::53]")...)
			v := vmtest.Boot(t, machine(t, 1, "ip=eth0:"+method, show))
			v.Expect(`address fd77::\S+ \((auto6|dhcp6)\) on eth0`, boot)
			v.Expect(`inet6 fd77::`, boot)
			v.WaitPowerOff(time.Minute)
		})
	}
}

// TestRootFromDHCP: root=dhcp; the lease's root path is a live image's address.
func TestRootFromDHCP(t *testing.T) {
	vmtest.AllOnly(t)
	image := filepath.Join(t.TempDir(), "root.squashfs")
	if _, err := hosttool.Run(t.Context(), "mksquashfs", vmtest.MarkerTree(t, "echo THE-ROOT-OF-OPTION-17"), image, "-quiet", "-no-progress"); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", vmtest.Addr()+":0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.FileServer(http.Dir(filepath.Dir(image)))}
	var wg sync.WaitGroup
	wg.Go(func() { _ = web.Serve(l) }) // it ends by Close
	t.Cleanup(func() { web.Close(); wg.Wait() })
	dnsmasq(t, "br0", pool, "--dhcp-option=option:root-path,http://"+l.Addr().String()+"/root.squashfs")
	s := vmtest.Direct(t, vmtest.Ramdisk(t), fmt.Sprintf("root=dhcp bareroot.live.sha256=%x", sha256.Sum256(b)))
	s.Name, s.NICs = "option17", []qemu.NIC{{}}
	v := vmtest.Boot(t, s)
	v.Expect(`root=dhcp: the root path is http://`, boot)
	v.Expect(vmtest.Marker, boot)
	v.Expect(`THE-ROOT-OF-OPTION-17`, time.Minute)
	v.WaitPowerOff(time.Minute)
}

// TestAppended: what pxelinux appends (IPAPPEND 3) is the address, on the NIC
// that netbooted, which has another name than the others.
func TestAppended(t *testing.T) {
	vmtest.AllOnly(t)
	s := machine(t, 2, "", show)
	s.NICs[0].MAC, s.NICs[1].MAC = "52:54:00:aa:00:01", "52:54:00:aa:00:02"
	s.Append += " ip=10.77.0.9:10.77.0.1:10.77.0.1:255.255.255.0 BOOTIF=01-52-54-00-aa-00-02"
	v := vmtest.Boot(t, s)
	v.Expect(`address 10\.77\.0\.9/24 on (\S+) `, boot)
	v.Expect(`inet 10\.77\.0\.9/24`, boot)
	v.Expect(`PROTO='none'`, time.Minute)
	v.Expect(`ROOTSERVER='10\.77\.0\.1'`, time.Minute)
	v.WaitPowerOff(time.Minute)
}
