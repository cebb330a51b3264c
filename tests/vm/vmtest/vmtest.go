// Package vmtest boots virtual machines in Go tests, judged from their
// console and their disks. The test program runs itself again in namespaces
// (a private network with a bridge, its own process ids), so that tests need
// no root and leave nothing behind.
//
// A package of VM tests begins with
//
//	func TestMain(m *testing.M) { vmtest.Main(m) }
//
// Nothing is skipped in silence: without QEMU or a kernel tests fail, unless
// BAREROOT_NO_VM holds the reason why this machine runs no VM tests.
package vmtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/human"
	"bareroot/internal/lab"
	"bareroot/internal/lab/console"
	"bareroot/internal/lab/distro"
	"bareroot/internal/lab/netns"
	"bareroot/internal/lab/qemu"
	"bareroot/internal/lab/sock"
)

const envNoVM = "BAREROOT_NO_VM"

// Main is TestMain for packages of VM tests. It does not return. The private
// network reaches no package archive: what is to be downloaded is, before; the
// kernel, and what fetch gets into the cache.
func Main(m *testing.M, fetch ...func(ctx context.Context, cacheDir string) error) {
	before := func(ctx context.Context) {
		dir, err := distro.CacheDir()
		if err == nil {
			_, err = distro.Kernel(ctx, dir)
		}
		for _, f := range fetch {
			if err == nil {
				err = f(ctx, dir)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "vmtest:", err)
		}
	}
	Enter(m, before, func() int {
		defer removeBuilt()
		return m.Run()
	})
}

// Enter is the TestMain of tests that need a private network with a bridge and
// no VM: before runs outside, inside in the namespaces. It does not return.
func Enter(m *testing.M, before func(context.Context), inside func() int) {
	lab.Reexec()
	if os.Getenv(envNoVM) != "" {
		os.Exit(m.Run()) // each test says that it is skipped, and why
	}
	if netns.Inside() {
		if err := netns.DefaultBridge().Up(); err != nil {
			fmt.Fprintln(os.Stderr, "vmtest:", err)
			os.Exit(1)
		}
		os.Exit(inside())
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	before(ctx)
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, unix.SIGQUIT) // "go test" asks for a stack dump so
	c, err := netns.Start(netns.Options{Args: os.Args[1:], Run: true, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	if err != nil {
		fmt.Fprintf(os.Stderr, "vmtest: %v\nvmtest: %s=REASON skips the tests that need it\n", err, envNoVM)
		os.Exit(1)
	}
	go func() {
		for s := range quit {
			_ = c.Signal(s)
		}
	}()
	err = c.Wait(ctx)
	stop()
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit):
		os.Exit(max(exit.ExitCode(), 1))
	}
	fmt.Fprintln(os.Stderr, "vmtest:", err)
	os.Exit(1)
}

// Need fails the test, or skips it for the reason in BAREROOT_NO_VM.
func Need(t testing.TB) {
	t.Helper()
	if why := os.Getenv(envNoVM); why != "" {
		t.Skipf("%s: %s", envNoVM, why)
	}
	if _, err := exec.LookPath(qemu.Program); err != nil {
		t.Fatalf("%v: install qemu-system-x86, or set %s=REASON", err, envNoVM)
	}
	if os.Getpid() == 1 || !netns.Inside() {
		t.Fatal("this package's TestMain does not call vmtest.Main")
	}
}

// CacheDir is where kernels and images are kept.
func CacheDir(t testing.TB) string {
	t.Helper()
	d, err := distro.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Kernel is the kernel of the distribution, downloaded by Main if need be.
func Kernel(t testing.TB) distro.Found {
	t.Helper()
	Need(t)
	k, err := distro.Kernel(t.Context(), CacheDir(t))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// VM is one virtual machine of a test. Its methods fail the test.
type VM struct {
	*qemu.Machine
	t       testing.TB
	console console.Stream
	mu      sync.Mutex
	conn    net.Conn
}

// counter numbers things.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

// taps numbers the network devices of all VMs of this process.
var taps = &counter{}

// Boot makes a machine and switches it on. A spec with a Kernel is booted
// directly; NICs are on the bridge, where this process has 10.77.0.1.
func Boot(t testing.TB, spec qemu.Spec) *VM {
	t.Helper()
	v := New(t, spec)
	v.PowerOn()
	return v
}

// New makes a machine that is off.
func New(t testing.TB, spec qemu.Spec) *VM {
	t.Helper()
	Need(t)
	if spec.Name == "" {
		spec.Name = "vm"
	}
	if spec.Kernel != "" && spec.Firmware == "" {
		spec.Firmware = qemu.Direct
	}
	if err := spec.Fill(); err != nil {
		t.Fatal(err)
	}
	bridge := netns.DefaultBridge()
	for i := range spec.NICs {
		spec.NICs[i].Tap = fmt.Sprintf("t%d", taps.next())
		if err := bridge.Tap(spec.NICs[i].Tap); err != nil {
			t.Fatal(err)
		}
	}
	accel, err := qemu.Accel(t.Context(), func(ctx context.Context) (string, error) {
		k, err := distro.Kernel(ctx, CacheDir(t))
		return k.Image, err
	}, CacheDir(t))
	if err != nil {
		t.Fatal(err)
	}
	m, err := qemu.New(spec, t.TempDir(), accel.Accel, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	v := &VM{Machine: m, t: t}
	program, _ := spec.Program()
	v.say("%s, by %s (%s on machines like this one: %s)", describe(spec), program, accel.Accel, accel.Why)
	// The socket is connected before power-on, so that nothing is missed; and
	// again for each start of QEMU.
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	if err := v.connect(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(done); v.listen(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := m.Close(); err != nil {
			t.Errorf("stop %s: %v", spec.Name, err)
		}
		v.mu.Lock()
		v.conn.Close()
		v.mu.Unlock()
		<-done
		if t.Failed() {
			t.Logf("console of %s, last lines:\n%s", spec.Name, v.console.Tail(40))
		}
	})
	return v
}

func (v *VM) say(format string, args ...any) {
	v.t.Helper()
	s := v.t.Name() + ": " + fmt.Sprintf(format, args...)
	v.t.Log(s)
	fmt.Println(s) // seen while the test runs, too
}

func describe(s qemu.Spec) string {
	b := fmt.Sprintf("%s: %s, %d CPU, %d MiB, %d NIC, %d disks", s.Name, s.Firmware, s.CPUs, s.MemoryMiB, len(s.NICs), len(s.Disks))
	if s.Kernel != "" {
		var size int64
		for _, f := range s.Initrds {
			if st, err := os.Stat(f); err == nil {
				size += st.Size()
			}
		}
		b += fmt.Sprintf(", kernel %s, ramdisk %s, %q", s.Kernel, human.Bytes(size), s.Append)
	}
	return b
}

func (v *VM) connect() error {
	conn, err := sock.Dial(v.ConsoleSocket())
	if err != nil {
		return err
	}
	v.mu.Lock()
	v.conn = conn
	v.mu.Unlock()
	return nil
}

// listen feeds the stream until the machine is given up.
func (v *VM) listen(ctx context.Context) {
	buf := make([]byte, 32<<10)
	for {
		n, err := v.conn.Read(buf)
		_, _ = v.console.Write(buf[:n]) // never fails
		if err == nil {
			continue
		}
		v.conn.Close()
		if ctx.Err() != nil {
			break
		}
		if err := v.connect(); err != nil {
			break
		}
	}
	v.console.End(nil)
}

// Expect waits for a regular expression on the console, after what was
// matched before, and returns the match and its groups.
func (v *VM) Expect(pattern string, timeout time.Duration) []string {
	v.t.Helper()
	begin := time.Now()
	got, err := v.console.Expect(v.t.Context(), regexp.MustCompile(pattern), timeout)
	if err != nil {
		st := v.State()
		v.t.Fatalf("%s (on %v, starts %d, %v): %v", v.Spec().Name, st.On, st.Starts, st.Err, err)
	}
	v.t.Logf("%6.1fs  %q", time.Since(begin).Seconds(), got[0])
	return got
}

// Text is all that the console said.
func (v *VM) Text() string { return v.console.Text() }

// Send types on the console.
func (v *VM) Send(s string) {
	v.t.Helper()
	v.mu.Lock()
	conn := v.conn
	v.mu.Unlock()
	if _, err := conn.Write([]byte(s)); err != nil {
		v.t.Fatalf("type on the console of %s: %v", v.Spec().Name, err)
	}
}

// PowerOn switches on.
func (v *VM) PowerOn() {
	v.t.Helper()
	if err := v.On(v.t.Context()); err != nil {
		v.t.Fatal(err)
	}
}

// PowerCut pulls the plug.
func (v *VM) PowerCut() {
	v.t.Helper()
	if err := v.Off(v.t.Context()); err != nil {
		v.t.Fatal(err)
	}
}

// WaitPowerOff waits until the machine has switched itself off.
func (v *VM) WaitPowerOff(timeout time.Duration) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), timeout)
	defer cancel()
	if err := v.WaitOff(ctx); err != nil {
		v.t.Fatalf("%v; the console last said:\n%s", err, v.console.Tail(12))
	}
}

// DiskHas tells whether a disk's file holds these bytes at an offset. The
// machine should be off, or have flushed.
func (v *VM) DiskHas(disk int, off int64, want []byte) bool {
	v.t.Helper()
	f, err := os.Open(v.DiskPath(disk))
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, len(want))
	if _, err := f.ReadAt(got, off); err != nil {
		v.t.Fatalf("read disk %d of %s: %v", disk, v.Spec().Name, err)
	}
	return bytes.Equal(got, want)
}

// Addr is this process's address on the bridge.
func Addr() string { return strings.Split(netns.DefaultBridge().Addrs[0].String(), "/")[0] }
