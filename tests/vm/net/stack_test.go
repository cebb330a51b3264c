package net

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// answers waits until an address answers a ping, or no longer does.
func answers(t *testing.T, address string, want bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	for (exec.CommandContext(ctx, "busybox", "ping", "-c", "1", "-W", "1", address).Run() == nil) != want {
		if ctx.Err() != nil {
			t.Fatalf("%s answers: want %v for 2 minutes", address, want)
		}
	}
}

// pull plugs or unplugs a cable as a switch sees it: what it knew to be behind
// the port is forgotten with the carrier.
func pull(t *testing.T, v *vmtest.VM, i int, in bool) {
	t.Helper()
	cable(t, v, i, in)
	if in {
		return
	}
	if out, err := exec.Command("ip", "link", "set", "dev", v.Spec().NICs[i].Tap, "type", "bridge_slave", "fdb_flush").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestStacks: what can be put on one another, each with a cable that moves while
// the ramdisk waits for its root: a VLAN on a bond with a dead leg, a bridge over a
// VLAN, a bridge over a bond with a dead leg. Every lease is for a NIC's MAC, and stays.
func TestStacks(t *testing.T) {
	vmtest.AllOnly(t)
	s := vmtest.Direct(t, ramdisk(t), "root=LABEL=never rd.retry=1200 rd.debug bond=bond0:eth0,eth1:mode=active-backup,miimon=100 vlan=bond0.5:bond0 ip=bond0.5:dhcp "+
		"vlan=eth2.6:eth2 bridge=br6:eth2.6 ip=br6:dhcp bond=bond1:eth3,eth4:mode=active-backup,miimon=100 bridge=br7:bond1 ip=br7:dhcp")
	s.Name = "stacks"
	s.NICs = make([]qemu.NIC, 5)
	for i := range s.NICs {
		s.NICs[i].MAC = fmt.Sprintf("52:54:00:aa:01:%02x", i)
	}
	v := vmtest.New(t, s)
	for i, id := range map[string]uint16{"78": 5, "79": 6} {
		trunk := tagged(t, v, fmt.Sprintf("vl%d", id), id)
		lanAddress(t, trunk, "10."+i+".0.1/24")
		dnsmasq(t, trunk, "--dhcp-range=10."+i+".0.50,10."+i+".0.60,255.255.255.0,1h")
	}
	dnsmasq(t, "br0", pool)
	v.PowerOn()
	cable(t, v, 0, false)
	cable(t, v, 3, false)
	leases := map[string]string{}
	for range 3 {
		// Expect goes on after what it found: they come in any order.
		m := v.Expect(`lease (10\.7[789]\.0\.\d+) on (\S+) `, boot)
		leases[m[2]] = m[1]
	}
	// Not one that a bond or bridge made up before it had members.
	v.Expect(`network: .* \(52:54:00:aa:01:0[023]\)`, time.Minute)
	for _, nic := range []string{"bond0.5", "br6", "br7"} {
		if leases[nic] == "" {
			t.Fatalf("no lease on %s: %v", nic, leases)
		}
		answers(t, leases[nic], true)
	}
	// The other leg of the bonds; out and in for the others.
	for i, in := range map[int]bool{0: true, 1: false, 2: false, 3: true, 4: false} {
		pull(t, v, i, in)
	}
	answers(t, leases["br6"], false)
	answers(t, leases["bond0.5"], true)
	answers(t, leases["br7"], true)
	pull(t, v, 2, true)
	// And no leg at all for a while.
	pull(t, v, 0, false)
	pull(t, v, 3, false)
	answers(t, leases["bond0.5"], false)
	answers(t, leases["br7"], false)
	pull(t, v, 1, true)
	pull(t, v, 4, true)
	for nic, address := range leases {
		t.Logf("%s has %s", nic, address)
		answers(t, address, true)
	}
	if strings.Contains(v.Text(), "has ended") {
		t.Error("a lease was lost")
	}
}
