package netconf

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestManyNICs: 200 NICs, of which one leads anywhere. What it costs must not
// grow with their square.
func TestManyNICs(t *testing.T) {
	if elsewhere(t) {
		return
	}
	cost := func(t *testing.T, n int) time.Duration {
		w := wire(t)
		for i := range n {
			w.plug(fmt.Sprintf("eth%d", i), fmt.Sprintf("02:00:00:00:%02x:%02x", i/256, i%256), "sw0")
		}
		address, pool := lan(1)
		w.dnsmasq("sw0", address, pool)
		for i := range n - 1 {
			w.there("ip link set p-eth" + fmt.Sprint(i) + " nomaster")
		}
		var before, after unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &before); err != nil {
			t.Fatal(err)
		}
		m := w.boot("rd.neednet=1")
		if r := w.up(m); r.Device != fmt.Sprintf("eth%d", n-1) {
			t.Errorf("%s won", r.Device)
		}
		m.Close()
		if err := unix.Getrusage(unix.RUSAGE_SELF, &after); err != nil {
			t.Fatal(err)
		}
		used := func(u unix.Rusage) time.Duration { return time.Duration(u.Utime.Nano() + u.Stime.Nano()) }
		t.Logf("%d NICs: %s of processor time", n, used(after)-used(before))
		return used(after) - used(before)
	}
	var few, many time.Duration
	t.Run("50", func(t *testing.T) { few = cost(t, 50) })
	t.Run("200", func(t *testing.T) { many = cost(t, 200) })
	// The kernel's own work per NIC grows with their number, a little.
	if many > 8*few+200*time.Millisecond {
		t.Errorf("50 NICs cost %s, 200 NICs %s", few, many)
	}
}
