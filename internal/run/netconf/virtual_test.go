package netconf

import (
	"strings"
	"testing"
	"time"
)

// TestBridge: a lease for a bridge over two NICs, of which one has a cable. It has
// the MAC of the first in the list, though that comes last and without a cable.
func TestBridge(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth1", mac1, "sw0")
	w.plug("eth0", mac0, "sw0")
	w.unplug("eth0", true)
	address, pool := lan(1)
	w.dnsmasq("sw0", address, pool, "--dhcp-host="+mac0+",10.1.0.55", "--dhcp-host="+mac1+",10.1.0.56")
	m := w.boot("bridge=br7:eth0,eth1 ip=br7:dhcp")
	r := w.up(m)
	if a := r.Lease.Address; r.Device != "br7" || a != prefix("10.1.0.55/24") {
		t.Errorf("%s with %s won", r.Device, a)
	}
	w.eventually("the state", func() bool {
		s := m.State()
		return strings.Contains(s, "eth1: part of br7") && strings.Contains(s, "eth0: no carrier (cable?)")
	})
}

// TestBridgeWithoutFirst: the first of the list never comes; the other is waited with for a while.
func TestBridgeWithoutFirst(t *testing.T) {
	if elsewhere(t) {
		return
	}
	w := wire(t)
	w.plug("eth1", mac1, "sw0")
	address, pool := lan(1)
	w.dnsmasq("sw0", address, pool)
	m := w.boot("bridge=br7:eth0,eth1 ip=br7:dhcp")
	if _, err := m.Wait(t.Context(), time.Second); err == nil || !strings.Contains(err.Error(), "br7: none of eth0, eth1 has become part of it") {
		t.Errorf("at first: %v", err)
	}
	if r := w.up(m); r.MAC != mac1 {
		t.Errorf("%s won", r.MAC)
	}
}
