package netconf

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/lab/netns"
	"bareroot/internal/run/console"
	"bareroot/internal/run/rtnl"
)

// wires is a network for one test: switches in a namespace of their own, where
// servers run, and NICs of ours that are plugged into them.
type wires struct {
	t    *testing.T
	pid  int
	root string
	log  *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func wire(t *testing.T) *wires {
	t.Helper()
	if !netns.Inside() {
		t.Fatal("this would be the host's network")
	}
	hold := exec.Command("sleep", "infinity")
	hold.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	if err := hold.Start(); err != nil {
		t.Fatal(err)
	}
	w := &wires{t: t, pid: hold.Process.Pid, root: t.TempDir(), log: &safeBuffer{}}
	t.Cleanup(func() {
		_ = hold.Process.Kill()
		_ = hold.Wait()
		// The namespace's end takes the NICs with it, a moment later.
		links, err := whole(netlink.LinkList)
		if err != nil {
			t.Error(err)
		}
		for _, l := range links {
			if l.Attrs().Name != "lo" {
				_ = netlink.LinkDel(l)
			}
		}
		if t.Failed() {
			t.Logf("what was said:\n%s", w.log)
		}
	})
	if err := os.Mkdir(filepath.Join(w.root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.there("ip link set lo up")
	return w
}

// there runs a command where the switches are.
func (w *wires) there(cmd string, more ...string) string {
	w.t.Helper()
	out, err := exec.Command("nsenter", w.args(cmd, more...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s: %v: %s", cmd, err, out)
	}
	return string(out)
}

func (w *wires) args(cmd string, more ...string) []string {
	return append([]string{"-t", strconv.Itoa(w.pid), "-n"}, append(strings.Fields(cmd), more...)...)
}

// plug makes a NIC of ours with its cable in a switch, which is made if it is new.
func (w *wires) plug(name, mac, sw string) {
	w.t.Helper()
	if exec.Command("nsenter", w.args("ip link show "+sw)...).Run() != nil {
		w.there("ip link add " + sw + " type bridge mcast_snooping 0")
		w.there("ip link set " + sw + " up")
	}
	hw, err := net.ParseMAC(mac)
	if err != nil {
		w.t.Fatal(err)
	}
	a := netlink.NewLinkAttrs()
	a.Name, a.HardwareAddr = name, hw
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "p-" + name, PeerNamespace: netlink.NsPid(w.pid)}); err != nil {
		w.t.Fatal(err)
	}
	w.there("ip link set p-" + name + " master " + sw)
	w.there("ip link set p-" + name + " up")
}

// ready switches a NIC of ours on and waits until its switch passes packets: one
// that is sent as soon as there is a carrier may be lost.
func (w *wires) ready(name string) {
	w.t.Helper()
	l, err := rtnl.ByName(name)
	if err == nil {
		err = rtnl.Set(l.Index, true)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the switch passes packets of "+name, func() bool {
		return strings.Contains(w.there("ip -d -o link show p-"+name), "state forwarding")
	})
}

// unplug pulls the cable, or puts it back.
func (w *wires) unplug(name string, out bool) {
	w.t.Helper()
	w.there("ip link set p-" + name + " " + map[bool]string{true: "down", false: "up"}[out])
}

// eventually waits for what programs outside of Go do; they tell nobody.
func (w *wires) eventually(what string, ok func() bool) {
	w.t.Helper()
	end := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			w.t.Fatalf("after 30 s it is still not so: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// boot starts the network as init does with a command line.
func (w *wires) boot(line string, change ...func(*Config)) *Manager {
	w.t.Helper()
	n, err := cmdline.ParseNetwork(cmdline.Parse(line, "test"))
	if err != nil {
		w.t.Fatal(err)
	}
	log := console.NewLog(w.log)
	log.SetLevel(false, true)
	cfg := Config{Net: n, Log: log, Start: time.Now(), Limits: DefaultLimits(), root: w.root,
		host: func([]byte) error { return nil }, nic: func(l rtnl.Link) bool { return strings.HasPrefix(l.Name, "eth") }}
	for _, f := range change {
		f(&cfg)
	}
	m, err := Start(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(m.Close)
	return m
}

// comes up waits for the network and says what of it a test looks at.
func (w *wires) up(m *Manager) Result {
	w.t.Helper()
	begin := time.Now()
	r, err := m.Wait(w.t.Context(), 60*time.Second)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("%s %s after %.2f s", r.Device, r.Lease.Address, time.Since(begin).Seconds())
	return r
}

// whole looks at one of the kernel's tables again if it has changed meanwhile.
func whole[T any](list func() (T, error)) (T, error) {
	for {
		v, err := list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return v, err
		}
	}
}

// addresses of one of our NICs, without link-local ones.
func (w *wires) addresses(nic string) []string {
	w.t.Helper()
	l, err := netlink.LinkByName(nic)
	if err != nil {
		w.t.Fatal(err)
	}
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_ALL) })
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, a := range addrs {
		if !a.IP.IsLinkLocalUnicast() {
			out = append(out, a.IPNet.String())
		}
	}
	slices.Sort(out)
	return out
}

// routes of one of our NICs, as "to via".
func (w *wires) routes(nic string) []string {
	w.t.Helper()
	l, err := netlink.LinkByName(nic)
	if err != nil {
		w.t.Fatal(err)
	}
	rs, err := whole(func() ([]netlink.Route, error) { return netlink.RouteList(l, netlink.FAMILY_V4) })
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, r := range rs {
		s := "default"
		if r.Dst != nil && r.Dst.String() != "0.0.0.0/0" {
			s = r.Dst.String()
		}
		if r.Gw != nil {
			s += " via " + r.Gw.String()
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func (w *wires) file(path string) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.root, path))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *wires) said(text string) bool { return strings.Contains(w.log.String(), text) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
