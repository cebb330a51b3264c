package qemu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Names of the files in a machine's directory.
const (
	logName     = "console.log"
	consoleName = "console.sock"
	varsName    = "vars.fd"
	initrdName  = "initrd.img"
	stderrName  = "qemu.log"
)

// Machine is one machine with its power switch. All methods may be called
// from several goroutines.
type Machine struct {
	spec  Spec
	dir   string
	accel string
	log   *slog.Logger

	console *net.UnixListener // given to each QEMU in turn
	sock    *os.File

	power sync.Mutex // one power operation at a time
	wg    sync.WaitGroup

	mu       sync.Mutex
	proc     *process // nil = off
	override Override
	stop     string // reason of the last SHUTDOWN event
	starts   int
	since    time.Time
	lastErr  error
	changed  chan struct{} // closed and replaced at each change of power
	closed   bool
}

type process struct {
	cmd  *exec.Cmd
	mon  *monitor
	done chan struct{}
	used []string // boot order it was started with
	cut  bool     // its power was cut by us; guarded by Machine.mu
}

// Override is the boot override of a machine's management controller.
type Override struct {
	Enabled string // Disabled, Once, Continuous
	Target  string // None, Pxe, Hdd
}

// State is what can be seen of a machine from outside.
type State struct {
	On       bool
	Starts   int       // of QEMU
	Since    time.Time // of the present power state
	Override Override
	Err      error // why the last start or run failed
}

// New prepares a machine in its directory: disks, console. It is off.
func New(spec Spec, dir, accel string, log *slog.Logger) (*Machine, error) {
	if err := spec.Fill(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Machine{spec: spec, dir: dir, accel: accel, log: log.With("machine", spec.Name),
		override: Override{"Disabled", "None"}, since: time.Now(), changed: make(chan struct{})}
	if err := m.prepare(); err != nil {
		return nil, fmt.Errorf("prepare machine %s: %w", spec.Name, err)
	}
	return m, nil
}

// Spec is the machine as configured, defaults filled in.
func (m *Machine) Spec() Spec { return m.spec }

// ConsoleLog is the file that gets all that the serial line says.
func (m *Machine) ConsoleLog() string { return filepath.Join(m.dir, logName) }

// ConsoleSocket is the unix socket of the serial line, for one user at a
// time. A connection made while the machine is off waits for its power-on.
func (m *Machine) ConsoleSocket() string { return filepath.Join(m.dir, consoleName) }

// DiskPath is the file of disk i.
func (m *Machine) DiskPath(i int) string {
	p := m.spec.Disks[i].file(i)
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(m.dir, p)
}

// State tells how the machine is.
func (m *Machine) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return State{On: m.proc != nil, Starts: m.starts, Since: m.since, Override: m.override, Err: m.lastErr}
}

// Changed is closed at the next change of power.
func (m *Machine) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// WaitOff waits until the machine is off.
func (m *Machine) WaitOff(ctx context.Context) error {
	for {
		changed := m.Changed()
		if !m.State().On {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for machine %s to switch off: %w", m.spec.Name, ctx.Err())
		}
	}
}

// order is the boot order for the next start, and whether it is for one
// start only. Caller holds mu.
func (m *Machine) order() []string {
	if m.override.Enabled == "Disabled" {
		return m.spec.Boot
	}
	first := map[string]string{"Pxe": BootNetwork, "Hdd": BootDisk}[m.override.Target]
	if first == "" {
		return m.spec.Boot
	}
	rest := slices.DeleteFunc(slices.Clone(m.spec.Boot), func(s string) bool { return s == first })
	return append([]string{first}, rest...)
}

// SetOverride sets the boot override. It counts from the next reset or
// power-on.
func (m *Machine) SetOverride(ctx context.Context, o Override) error {
	m.mu.Lock()
	m.override = o
	var mon *monitor
	if m.proc != nil && !slices.Equal(m.order(), m.proc.used) {
		mon = m.proc.mon
	}
	m.mu.Unlock()
	if mon == nil {
		return nil
	}
	// QEMU takes the boot order at its start: a reset must end it, so that
	// it is started with the new one.
	err := mon.do(ctx, "set-action", map[string]string{"reboot": "shutdown"}, nil)
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// On switches the machine on; a machine that is on stays as it is.
func (m *Machine) On(ctx context.Context) error {
	m.power.Lock()
	defer m.power.Unlock()
	return m.on(ctx)
}

func (m *Machine) on(ctx context.Context) error {
	m.mu.Lock()
	if m.proc != nil {
		m.mu.Unlock()
		return nil
	}
	if m.closed {
		m.mu.Unlock()
		return fmt.Errorf("switch on %s: the lab is stopping", m.spec.Name)
	}
	st := start{accel: m.accel, order: m.order()}
	normal := m.order
	if m.override.Enabled == "Once" {
		m.override = Override{"Disabled", "None"}
	}
	st.oneOff = !slices.Equal(st.order, normal())
	m.stop = ""
	m.mu.Unlock()
	p, err := m.launch(ctx, st)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastErr = err
	if err != nil {
		return fmt.Errorf("switch on %s: %w", m.spec.Name, err)
	}
	m.proc, m.starts = p, m.starts+1
	m.turned()
	m.wg.Add(1)
	go m.watch(p)
	m.log.Info("power on", "order", strings.Join(st.order, ","), "start", m.starts)
	return nil
}

// turned tells waiters. Caller holds mu.
func (m *Machine) turned() {
	m.since = time.Now()
	close(m.changed)
	m.changed = make(chan struct{})
}

// launch starts QEMU and waits until it answers.
func (m *Machine) launch(ctx context.Context, st start) (*process, error) {
	if err := m.refresh(); err != nil {
		return nil, err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make monitor socket: %w", err)
	}
	theirs, ours := os.NewFile(uintptr(fds[0]), "qmp"), os.NewFile(uintptr(fds[1]), "qmp")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return nil, fmt.Errorf("make monitor socket: %w", err)
	}
	errs, err := os.Create(filepath.Join(m.dir, stderrName))
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer errs.Close()
	argv := args(m.spec, st)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = m.dir, errs, errs
	cmd.ExtraFiles = []*os.File{theirs, m.sock}
	// The terminal's Ctrl-C is for the lab, which then stops its machines.
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		conn.Close()
		_, pkg := m.spec.Program()
		return nil, fmt.Errorf("start %s: %w (package %s)", argv[0], err, pkg)
	}
	theirs.Close()
	p := &process{cmd: cmd, done: make(chan struct{}), used: st.order}
	p.mon, err = newMonitor(ctx, conn, m.event)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		conn.Close()
		return nil, fmt.Errorf("%w: %s", err, m.complaint())
	}
	return p, nil
}

// complaint is the end of what QEMU wrote to its standard error.
func (m *Machine) complaint() string {
	b, _ := os.ReadFile(filepath.Join(m.dir, stderrName))
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "no message"
	}
	return s[max(0, len(s)-400):]
}

func (m *Machine) event(e Event) {
	m.log.Debug("event", "name", e.Name, "reason", e.Data.Reason)
	if e.Name == "SHUTDOWN" {
		m.mu.Lock()
		m.stop = e.Data.Reason
		m.mu.Unlock()
	}
}

// watch is the owner of one QEMU process: it waits for its end and starts
// the machine again if that was a reset.
func (m *Machine) watch(p *process) {
	defer m.wg.Done()
	err := p.cmd.Wait()
	p.mon.conn.Close()
	<-p.mon.done
	m.mu.Lock()
	reason := m.stop
	m.proc = nil
	m.lastErr = nil
	if err != nil && reason == "" && !p.cut {
		m.lastErr = fmt.Errorf("%s ended by itself (%w): %s", p.cmd.Args[0], err, m.complaint())
	}
	again := reason == "guest-reset" && !p.cut && !m.closed
	if !again {
		m.turned()
	}
	m.mu.Unlock()
	close(p.done)
	if !again {
		m.log.Info("power off", "reason", or(reason, "cut"))
		return
	}
	if err := m.On(context.Background()); err != nil {
		m.log.Error("restart after reset failed", "err", err)
		m.mu.Lock()
		m.turned()
		m.mu.Unlock()
	}
}

// Off cuts the power: what the guest had not flushed is lost to it.
func (m *Machine) Off(ctx context.Context) error {
	m.power.Lock()
	defer m.power.Unlock()
	return m.off(ctx)
}

func (m *Machine) off(ctx context.Context) error {
	m.mu.Lock()
	p := m.proc
	if p == nil {
		m.mu.Unlock()
		return nil
	}
	p.cut = true
	m.mu.Unlock()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("switch off %s: %w", m.spec.Name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("switch off %s: %w", m.spec.Name, ctx.Err())
	}
}

// Restart cuts the power and switches on again.
func (m *Machine) Restart(ctx context.Context) error {
	m.power.Lock()
	defer m.power.Unlock()
	if err := m.off(ctx); err != nil {
		return err
	}
	return m.on(ctx)
}

// Press is the power button: a running system shuts down by itself, or not.
func (m *Machine) Press(ctx context.Context) error { return m.command(ctx, "system_powerdown", nil) }

// SetLink plugs or unplugs the cable of NIC i.
func (m *Machine) SetLink(ctx context.Context, i int, up bool) error {
	return m.command(ctx, "set_link", map[string]any{"name": fmt.Sprintf("net%d", i), "up": up})
}

// PressKeys types on the machine's keyboard, one key after the other, by QEMU's
// names (QKeyCode: a, 1, ret), which are those of a US keyboard; "shift-a" are
// two keys at once.
func (m *Machine) PressKeys(ctx context.Context, keys ...string) error {
	for _, k := range keys {
		var codes []map[string]string
		for _, c := range strings.Split(k, "-") {
			codes = append(codes, map[string]string{"type": "qcode", "data": c})
		}
		if err := m.command(ctx, "send-key", map[string]any{"keys": codes}); err != nil {
			return err
		}
	}
	return nil
}

func (m *Machine) command(ctx context.Context, name string, arguments any) error {
	m.mu.Lock()
	p := m.proc
	m.mu.Unlock()
	if p == nil {
		return fmt.Errorf("machine %s is off", m.spec.Name)
	}
	return p.mon.do(ctx, name, arguments, nil)
}

// Close cuts the power for good and frees the console.
func (m *Machine) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	err := m.Off(context.Background())
	m.wg.Wait()
	return errors.Join(err, m.sock.Close(), m.console.Close())
}
