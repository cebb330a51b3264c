package netconf

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/lab/netns"
	"bareroot/internal/run/console"
	"bareroot/internal/run/rtnl"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// update writes the golden files.
var update = flag.Bool("update", false, "write testdata")

// TestMain lets more tests wait beside each other than there are processors.
func TestMain(m *testing.M) {
	netns.Reexec()
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(max(8, runtime.GOMAXPROCS(0)))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// elsewhere runs the test that calls it in a process and a network of its own, and
// says so; there it says no. What a test brings up is never the host's network nor
// another test's, and tests, which mostly wait, wait beside each other.
func elsewhere(t *testing.T) bool {
	t.Helper()
	if netns.Inside() {
		return false
	}
	t.Parallel()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var name []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		name = append(name, "^"+regexp.QuoteMeta(part)+"$")
	}
	c, err := netns.Start(netns.Options{
		Args: []string{"-test.v", "-test.timeout=5m", "-test.cpu=" + strconv.Itoa(runtime.GOMAXPROCS(0)), "-test.run=" + strings.Join(name, "/")},
		// A process with the race detector otherwise sleeps for a second at its end.
		Env: []string{"GORACE=atexit_sleep_ms=0 " + os.Getenv("GORACE")}, Run: true, Stdout: out, Stderr: out,
	})
	if r := (*netns.Refused)(nil); errors.As(err, &r) {
		t.Skip(r)
	} else if err != nil {
		t.Fatal(err)
	}
	err = c.Wait(t.Context())
	text, rerr := os.ReadFile(out.Name())
	if rerr != nil {
		t.Fatal(rerr)
	}
	switch {
	case err == nil && bytes.Contains(text, []byte("--- PASS: "+t.Name()+" (")):
		t.Logf("%s", text)
	case err == nil && bytes.Contains(text, []byte("--- SKIP: "+t.Name()+" (")):
		t.Skipf("%s", text)
	default:
		t.Errorf("%v\n%s", err, text)
	}
	return true
}

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
		links, err := netlink.LinkList()
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

// unplug pulls the cable, or puts it back.
func (w *wires) unplug(name string, out bool) {
	w.t.Helper()
	w.there("ip link set p-" + name + " " + map[bool]string{true: "down", false: "up"}[out])
}

// server is a program that runs where the switches are.
type server struct {
	w   *wires
	cmd *exec.Cmd
	out *safeBuffer
}

// start starts a server, which is stopped at the end of the test.
func (w *wires) start(cmd string, more ...string) *server {
	w.t.Helper()
	s := &server{w: w, cmd: exec.Command("nsenter", w.args(cmd, more...)...), out: &safeBuffer{}}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		s.stop()
		if w.t.Failed() {
			w.t.Logf("%s said:\n%s", cmd, s.out)
		}
	})
	return s
}

func (s *server) stop() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

// dnsmasq serves DHCP on a switch, on the address given to it.
func (w *wires) dnsmasq(sw, address string, words ...string) *server {
	w.t.Helper()
	for _, a := range strings.Fields(address) {
		flags := ""
		if strings.Contains(a, ":") {
			flags = " nodad"
		}
		if exec.Command("nsenter", w.args("ip addr add "+a+" dev "+sw+flags)...).Run() != nil {
			w.t.Logf("%s has %s already", sw, a)
		}
	}
	dir := w.t.TempDir()
	// As a daemon it would change its user, which a namespace of one user refuses.
	s := w.start("dnsmasq", append([]string{"--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=" + sw, "--bind-interfaces", "--no-ping", "--log-dhcp", "--log-facility=-", "--pid-file=" + dir + "/pid", "--dhcp-leasefile=" + dir + "/leases"}, words...)...)
	w.eventually("dnsmasq started", func() bool { return strings.Contains(s.out.String(), "started") })
	return s
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

// addresses of one of our NICs, without link-local ones.
func (w *wires) addresses(nic string) []string {
	w.t.Helper()
	l, err := netlink.LinkByName(nic)
	if err != nil {
		w.t.Fatal(err)
	}
	addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
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
	rs, err := netlink.RouteList(l, netlink.FAMILY_V4)
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
