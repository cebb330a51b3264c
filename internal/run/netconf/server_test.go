package netconf

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

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

// over calls f where the switches are: what it opens there, stays there.
func (w *wires) over(f func() error) {
	w.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		w.t.Fatal(err)
	}
	defer home.Close()
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", w.pid))
	if err != nil {
		w.t.Fatal(err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		w.t.Fatal(err)
	}
	err = f()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		panic(err) // this thread is of no use any more
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// listen opens a TCP port where the switches are, for those who come by one of them.
func (w *wires) listen(sw, addr string) {
	w.t.Helper()
	w.over(func() error {
		lc := net.ListenConfig{Control: bindTo(sw, true)}
		l, err := lc.Listen(context.Background(), "tcp", addr)
		if err == nil {
			w.t.Cleanup(func() { l.Close() })
		}
		return err
	})
}
