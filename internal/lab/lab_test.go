package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"bareroot/internal/lab/console"
	"bareroot/internal/lab/netns"
	"bareroot/internal/lab/qemu"
)

// The test program is the lab's inside, too; and by argument a process that
// starts a lab, and a service.
func TestMain(m *testing.M) {
	Reexec()
	parts := map[string]func() error{"part:up": partUp, "part:service": partService}
	if len(os.Args) > 1 {
		if part, ok := parts[os.Args[1]]; ok {
			if err := part(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// partUp starts the lab in the state directory given and stays.
func partUp() error {
	r, err := Start(context.Background(), testConfig(), Options{StateDir: os.Args[2], Log: os.Stderr})
	if err != nil {
		return err
	}
	fmt.Println(r.RedfishURL, r.Addresses["page/door"])
	return r.Wait(context.Background())
}

// partService answers on its passed listener with the lab's own address.
func partService() error {
	if os.Getenv("LISTEN_FDS") != "1" || os.Getenv("LISTEN_FDNAMES") != "door" {
		return fmt.Errorf("LISTEN_FDS=%s LISTEN_FDNAMES=%s", os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES"))
	}
	l, err := net.FileListener(os.NewFile(3, "door"))
	if err != nil {
		return err
	}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		addrs, err := net.InterfaceAddrs()
		fmt.Fprint(w, addrs, err)
	}))
}

func testConfig() Config {
	return Config{
		Machines: []qemu.Spec{{Name: "m1", MemoryMiB: 128, Boot: []string{"disk"}, NICs: []qemu.NIC{{}}, Disks: []qemu.Disk{{Size: 1 << 20}}}},
		Services: []Service{{Name: "page", Command: []string{"/proc/self/exe", "part:service"}, Listen: map[string]string{"door": "127.0.0.1:0"}}},
	}
}

func needLab(t *testing.T) {
	t.Helper()
	if why := os.Getenv("BAREROOT_NO_VM"); why != "" {
		t.Skipf("BAREROOT_NO_VM: %s", why)
	}
	if _, err := exec.LookPath(qemu.Program); err != nil {
		t.Fatalf("%v: install qemu-system-x86, or set BAREROOT_NO_VM=REASON", err)
	}
}

// TestKill9 is a lab from its start to its end by SIGKILL, and its second
// life, in a directory too long for the address of a socket.
func TestKill9(t *testing.T) {
	needLab(t)
	state := filepath.Join(t.TempDir(), strings.Repeat("long/", 20), "state")
	cmd := exec.Command("/proc/self/exe", "part:up", state)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var redfishURL, page string
	if _, err := fmt.Fscan(bufio.NewReader(out), &redfishURL, &page); err != nil {
		t.Fatal(err)
	}
	// The service is inside, its door is here.
	if body := get(t, "http://"+page, ""); !strings.Contains(body, "10.77.0.1/24") {
		t.Errorf("the service says %q", body)
	}
	powerOn(t, state, redfishURL)
	st, err := GetStatus(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	if m := st.Machines[0]; m.Power != "on" || m.Starts != 1 || st.Services[0].State != "running" {
		t.Errorf("status %+v", st)
	}
	sees(t, st.Machines[0].Log, `Boot failed: not a bootable disk`)

	if _, err := Start(t.Context(), testConfig(), Options{StateDir: state}); err == nil || !strings.Contains(err.Error(), "up in") {
		t.Errorf("a second lab in the same state directory: %v", err)
	}
	p, err := readPid(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	// At once again, over what is left.
	r, err := Start(t.Context(), testConfig(), Options{StateDir: state, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	if p.Init.alive() {
		t.Errorf("process %d of the killed lab lives", p.Init.Pid)
	}
	powerOn(t, state, r.RedfishURL)
	sees(t, st.Machines[0].Log, `Boot failed: not a bootable disk`)
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := GetStatus(t.Context(), state); !errors.Is(err, ErrNotUp) {
		t.Errorf("status of a lab that is down: %v", err)
	}
	if err := Down(t.Context(), state); !errors.Is(err, ErrNotUp) {
		t.Errorf("down of a lab that is down: %v", err)
	}
}

func TestDown(t *testing.T) {
	needLab(t)
	state := t.TempDir()
	cmd := exec.Command("/proc/self/exe", "part:up", state)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- cmd.Wait() }() // as a shell would; a zombie is not alive
	p, err := readPid(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if p.Init.alive() || p.Parent.alive() {
		t.Errorf("still there: %+v", p)
	}
	<-ended
}

// TestStartFails tells why, and leaves nothing.
func TestStartFails(t *testing.T) {
	needLab(t)
	cfg := testConfig()
	cfg.Services[0].Command = []string{"/nonexistent/program"}
	state := t.TempDir()
	_, err := Start(t.Context(), cfg, Options{StateDir: state})
	var refused *netns.Refused
	if err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), "/nonexistent/program") {
		t.Errorf("error %v", err)
	}
	cfg = testConfig()
	r, err := Start(t.Context(), cfg, Options{StateDir: state})
	if err != nil {
		t.Fatalf("after a failed start: %v", err)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

func powerOn(t *testing.T, state, url string) {
	t.Helper()
	b, err := os.ReadFile(PasswordFile(state))
	if err != nil {
		t.Fatal(err)
	}
	get(t, url+"/redfish/v1/Systems/m1/Actions/ComputerSystem.Reset", strings.TrimSpace(string(b)))
}

// get is a GET without, or a power-on with a password.
func get(t *testing.T, url, password string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if password != "" {
		req, err = http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(`{"ResetType":"On"}`))
	}
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("lab", password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s: %s %s %v", url, resp.Status, b, err)
	}
	return string(b)
}

func sees(t *testing.T, log, pattern string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var s console.Stream
	done := make(chan error, 1)
	go func() { done <- console.Follow(ctx, log, &s) }()
	_, err := s.Expect(ctx, regexp.MustCompile(pattern), 60*time.Second)
	cancel()
	<-done
	if err != nil {
		t.Fatal(err)
	}
}

func TestParseConfig(t *testing.T) {
	c, err := ParseConfig([]byte("machines:\n- {name: a, firmware: uefi, nics: [{}], disks: [{size: 2GiB}]}\n- {name: b}\nnetwork: {addresses: [10.1.0.1/16]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]netip.Prefix{netip.MustParsePrefix("10.1.0.1/16")}, c.Network.Addresses, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Error(d)
	}
	if m := c.Machines[0]; m.Disks[0].Size != 2<<30 || *m.NICs[0].ROM || m.UUID == c.Machines[1].UUID {
		t.Errorf("%+v", c.Machines)
	}
	for name, tc := range map[string]struct{ text, want string }{
		"unknown word":   {"machines: [{name: a, colour: red}]", "colour"},
		"same name":      {"machines: [{name: a}, {name: a}]", "two machines"},
		"same mac":       {"machines: [{name: a, nics: [{mac: '52:54:00:00:00:01'}]}, {name: b, nics: [{mac: '52:54:00:00:00:01'}]}]", "share"},
		"no command":     {"services: [{name: a}]", "no command"},
		"service name":   {"services: [{name: a/b, command: [x]}]", "service name"},
		"listener name":  {"services: [{name: a, command: [x], listen: {'a:b': ''}}]", "listener name"},
		"size":           {"machines: [{name: a, disks: [{size: big}]}]", "line 1"},
		"not yaml":       {"\t{", "yaml"},
		"bad prefix":     {"network: {addresses: [10.1.0.1]}", "10.1.0.1"},
		"too long":       {"network: {bridge: abcdefghijklmnopq}", "15"},
		"machine's name": {"machines: [{name: ../x}]", "machine name"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseConfig([]byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, expected one with %q", err, tc.want)
			}
		})
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("machines: [{name: a, nics: [{}], disks: [{size: 1G}]}]\nservices: [{name: s, command: [x], listen: {l: ':0'}}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParseConfig(b); err == nil {
			if err := c.Fill(); err != nil {
				t.Errorf("%q passes once only: %v", b, err)
			}
		}
	})
}

func TestProcessIdentity(t *testing.T) {
	me, err := identify(os.Getpid())
	if err != nil || !me.alive() {
		t.Fatalf("%+v %v", me, err)
	}
	// The same id with another start time is somebody else: not signalled.
	other := process{me.Pid, me.Start + "0"}
	if other.alive() {
		t.Error("mistaken for another process")
	}
	if err := other.signal(unix.SIGKILL); err != nil {
		t.Error(err)
	}
	if err := other.waitGone(t.Context(), time.Minute); err != nil {
		t.Error(err)
	}
}
