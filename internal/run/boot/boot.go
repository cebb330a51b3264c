// Package boot is PID 1 of every ramdisk: it takes the machine through the
// stages to its root or runs the agent, and when something fails says so
// everywhere and follows the rules for failures. The parts that do the work
// are the packages beside it; what is here is their order. Stage names are
// dracut's.
package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sort"
	"syscall"
	"time"

	"bareroot/api"
	"bareroot/internal/cmdline"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/console"
	"bareroot/internal/run/device"
	"bareroot/internal/run/netconf"
	"bareroot/internal/run/rootfs"
	"bareroot/internal/sys"
	"golang.org/x/sys/unix"
)

// Boot is one boot.
type Boot struct {
	start  time.Time
	life   context.Context
	log    *console.Log
	reaper *console.Reaper
	report *Reporter
	bootID string
	kver   string

	conf    rdconf.Config
	line    cmdline.Line
	net     cmdline.Network
	mods    *device.Modules
	devices *device.Manager
	network *netconf.Manager
	up      *netconf.Result
	session *rdconf.Session
	http    *http.Client
	root    rootfs.Root
	order   *api.Order // the root order being carried out
	tried   []string
}

// Main runs as PID 1. It does not return: the kernel panics when PID 1 ends.
func Main() {
	b := &Boot{start: time.Now(), log: console.NewLog(os.Stderr), http: &http.Client{Transport: plainTransport()}}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	b.life = ctx
	// Asked for and dropped, not ignored: an ignored signal would stay ignored
	// in the root's init.
	drop := make(chan os.Signal, 1)
	signal.Notify(drop, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2)
	_ = os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	b.reaper = console.NewReaper()
	b.bootID = "unknown"
	b.report = NewReporter(b.log, b.bootID)
	func() {
		defer func() {
			if p := recover(); p != nil {
				b.log.Errorf("internal error: %v\n%s", p, debug.Stack())
			}
		}()
		b.run(ctx)
	}()
	// Only a failure leads here. Whatever it was, the machine must not stay dead.
	t := time.NewTimer(30 * time.Second)
	<-t.C
	for {
		if err := sys.Reboot(sys.ActReboot); err != nil {
			b.log.Errorf("%v", err)
		}
		time.Sleep(10 * time.Second)
	}
}

func (b *Boot) run(ctx context.Context) {
	if err := mountAll(); err != nil {
		b.log.Errorf("%v", err)
	}
	openConsole()
	if err := b.log.Attach(rdconf.LogPath); err != nil {
		b.log.Errorf("%v", err)
	}
	b.bootID = readLine("/proc/sys/kernel/random/boot_id")
	b.report.bootID = b.bootID
	// A machine without hardware randomness gathers its own only while
	// somebody waits for it, and DHCP's transaction id does not: this does.
	go func() { _, _ = unix.Getrandom(make([]byte, 1), 0) }() // ends within seconds, whatever happens
	r := Runner{Stages: b.stages(), Before: b.shellBefore, Failed: b.failed}
	if err := r.Run(ctx); err != nil {
		return
	}
	b.switchRoot(ctx)
}

// stages is the boot.
func (b *Boot) stages() []Stage {
	return []Stage{
		{"cmdline", b.stageCmdline},
		{"pre-udev", b.stagePreUdev},
		{"pre-trigger", b.stagePreTrigger},
		{"initqueue", b.stageInitqueue},
		{"pre-mount", b.stagePreMount},
		{"mount", b.stageMount},
		{"pre-pivot", b.stagePrePivot},
		{"cleanup", b.stageCleanup},
	}
}

func (b *Boot) did(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	b.log.Infof("%s", text)
	if !slices.Contains(b.tried, text) {
		b.tried = append(b.tried, text)
	}
}

func (b *Boot) stageCmdline(context.Context) error {
	conf, notices, err := rdconf.Load("/")
	if err != nil {
		return err
	}
	b.conf = conf
	var stronger []cmdline.Source
	drops, _ := filepath.Glob("/etc/cmdline.d/*.conf")
	sort.Strings(drops)
	for _, p := range append(drops, "/etc/cmdline", "/proc/cmdline") {
		text, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read command line: %w", err)
		}
		stronger = append(stronger, cmdline.Source{Name: p, Text: string(text)})
	}
	line, more := cmdline.Merge(conf.Locked, cmdline.Source{Name: "configuration", Text: conf.Cmdline}, stronger...)
	for _, n := range append(notices, more...) {
		b.log.Warnf("%s", n)
	}
	return b.setLine(line)
}

// setLine makes line the command line of the boot.
func (b *Boot) setLine(line cmdline.Line) error {
	for _, n := range cmdline.Check(line) {
		b.log.Warnf("%s", n)
	}
	b.line = line
	if err := os.WriteFile(linePath, []byte(line.String()+"\n"), 0o600); err != nil {
		b.log.Warnf("keep the command line for modprobe: %v", err)
	}
	b.log.Quiet = line.Has("quiet")
	b.log.Debug = line.Bool(false, "rd.debug", "rdinitdebug")
	n, err := cmdline.ParseNetwork(line)
	if err != nil {
		return err
	}
	for _, t := range n.Notices {
		b.log.Warnf("%s", t)
	}
	for _, t := range n.NotYet() {
		b.log.Warnf("%s is understood but not carried out by this version", t)
	}
	b.net = n
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		b.kver = unix.ByteSliceToString(uts.Release[:])
	}
	return nil
}

// role is what this boot is there to do.
func (b *Boot) role() string {
	if r, ok := b.line.Get("bareroot.role"); ok && r != "" {
		return r
	}
	if b.conf.Role == "" {
		return "root"
	}
	return b.conf.Role
}

func (b *Boot) stagePreUdev(context.Context) error {
	dir := "/usr/lib/modules/" + b.kver
	mods, err := device.NewModules(dir, b.line)
	if err != nil {
		// A kernel with everything built in needs none.
		b.log.Warnf("no kernel modules: %v", err)
		return nil
	}
	b.mods = mods
	for _, n := range append(append([]string(nil), b.conf.Modules...), b.line.List("rd.driver.pre", "rdloaddriver")...) {
		if err := mods.Load(n); err != nil {
			b.log.Warnf("%v", err)
		}
	}
	return nil
}

func (b *Boot) stagePreTrigger(ctx context.Context) error {
	var err error
	if b.needNetwork() && b.network == nil {
		if err := b.startNetwork(); err != nil {
			return err
		}
	}
	if b.devices == nil {
		if b.devices, err = device.Start(b.life, b.log, b.mods); err != nil {
			return err
		}
	}
	return nil
}

// needNetwork says whether the boot, as far as it is known, uses a network.
func (b *Boot) needNetwork() bool {
	if b.conf.Server != nil || b.net.Need || len(b.net.Ifaces) > 0 {
		return true
	}
	root, err := rootfs.Parse(b.line)
	return err == nil && root.Network()
}

func (b *Boot) startNetwork() error {
	probe, mac := "", ""
	if s := b.conf.Server; s != nil {
		probe, mac = probeAddress(s.URL), s.BootMAC
	} else if v, ok := b.line.Get("root"); ok {
		if r, err := cmdline.ParseRoot(v); err == nil && r.Network() {
			probe = probeAddress(r.URL)
		}
	}
	var err error
	b.network, err = netconf.Start(b.life, netconf.Config{
		Net: b.net, BootMAC: mac, Probe: probe, Log: b.log, Start: b.start,
		Carrier: time.Duration(b.line.Int(10, 1, 3600, "rd.net.timeout.carrier")) * time.Second,
	})
	return err
}

// limit is how long a wait may take: rd.retry.
func (b *Boot) limit() time.Duration {
	return time.Duration(b.line.Int(180, 1, 86400, "rd.retry")) * time.Second
}

func (b *Boot) netMAC() string {
	if b.conf.Server != nil && b.conf.Server.BootMAC != "" {
		return b.conf.Server.BootMAC
	}
	if b.up != nil {
		return b.up.MAC
	}
	return ""
}

func (b *Boot) netText() string {
	if b.up == nil {
		return "no network"
	}
	return fmt.Sprintf("%s on %s (%s)", b.up.Lease.Address, b.up.Device, b.up.MAC)
}

func (b *Boot) awaitNetwork(ctx context.Context) error {
	if b.up != nil {
		return nil
	}
	if b.network == nil {
		if err := b.startNetwork(); err != nil {
			return err
		}
	}
	up, err := b.network.Wait(ctx, b.limit())
	if err != nil {
		return err
	}
	b.up = &up
	b.did("network: %s", b.netText())
	return nil
}

// stageInitqueue is everything that waits: network, server, agent, and what
// the root is made of.
func (b *Boot) stageInitqueue(ctx context.Context) error {
	if b.needNetwork() {
		if err := b.awaitNetwork(ctx); err != nil {
			return err
		}
	}
	if err := b.hello(ctx); err != nil {
		return err
	}
	if b.order == nil && b.role() != "root" {
		if err := b.runAgent(ctx); err != nil {
			return err
		}
	}
	return b.prepareRoot(ctx)
}

func (b *Boot) prepareRoot(ctx context.Context) error {
	root, err := rootfs.Parse(b.line)
	if err != nil {
		return err
	}
	if root.Network() {
		if err := b.awaitNetwork(ctx); err != nil {
			return err
		}
	}
	b.did("root: %s", root.Describe())
	b.report.Event("root", root.Describe(), false)
	if err := root.Prepare(ctx, b.env()); err != nil {
		root.Stop()
		return err
	}
	b.root = root
	return nil
}

func (b *Boot) env() *rootfs.Env {
	e := &rootfs.Env{Log: b.log, Line: b.line, Devices: b.devices, HTTP: b.http, Limit: b.limit(), Module: func(name string) {
		if b.mods == nil || name == "" {
			return
		}
		if err := b.mods.Load(name); err != nil {
			b.log.Debugf("%v", err)
		}
	}}
	if b.session != nil {
		e.Token, e.Origin = b.session.Token, b.session.Server.URL
	}
	var told time.Time
	e.Progress = func(done, total, rate int64) {
		if now := time.Now(); now.Sub(told) >= 2*time.Second {
			told = now
			b.report.Event("root", fmt.Sprintf("downloaded %d of %d MiB, %.1f MB/s", done>>20, total>>20, float64(rate)/1e6), false)
		}
	}
	if b.order != nil {
		e.Progress = func(done, total, rate int64) {
			b.report.Order(b.order, api.Event{Kind: api.EventProgress, Phase: "download", Done: done, Total: total, Rate: rate})
		}
	}
	return e
}

func (b *Boot) stagePreMount(context.Context) error {
	for _, n := range b.line.List("rd.driver.post", "rdinsmodpost") {
		if b.mods == nil {
			break
		}
		if err := b.mods.Load(n); err != nil {
			b.log.Warnf("%v", err)
		}
	}
	return nil
}

func (b *Boot) stageMount(ctx context.Context) error {
	if err := b.root.Mount(ctx, b.env()); err != nil {
		b.root.Stop()
		// The next try prepares again: a device may have been replaced meanwhile.
		if perr := b.root.Prepare(ctx, b.env()); perr != nil {
			return errors.Join(err, perr)
		}
		return err
	}
	b.did("mounted %s at %s", b.root.Describe(), rootfs.Target)
	return nil
}

func (b *Boot) stagePrePivot(ctx context.Context) error {
	// A kernel that takes no modules has none to miss.
	if _, err := os.Stat("/proc/modules"); err == nil {
		notice, err := rootfs.CheckModules(rootfs.Target, b.kver, b.line)
		if err != nil {
			return fmt.Errorf("%s: %w", b.root.Describe(), err)
		}
		if notice != "" {
			b.log.Warnf("%s: %s", b.root.Describe(), notice)
		}
	}
	if err := b.root.HandOver(ctx, b.env()); err != nil {
		return err
	}
	_, err := rootfs.FindInit(rootfs.Target, b.line)
	return err
}

func (b *Boot) stageCleanup(context.Context) error {
	init, err := rootfs.FindInit(rootfs.Target, b.line)
	if err != nil {
		return err
	}
	b.log.Infof("switching to %s: %s %.2f s after start", b.root.Describe(), init, time.Since(b.start).Seconds())
	if b.order != nil {
		b.report.Order(b.order, api.Event{Kind: api.EventState, State: api.StateDone, Phase: "root", Message: "runs " + b.root.Describe()})
	}
	b.report.Event("switch-root", "starts "+init+" of "+b.root.Describe(), false)
	b.report.Flush(5 * time.Second)
	return nil
}

// switchRoot gives the machine to its root. It returns only when that failed
// for good.
func (b *Boot) switchRoot(ctx context.Context) {
	b.shellBefore(ctx, "switch-root")
	for {
		err, final := b.handOver()
		if final {
			b.log.Errorf("%v", err)
			return
		}
		if !b.failed(ctx, &StageError{"switch-root", err}) {
			return
		}
	}
}

func (b *Boot) handOver() (err error, final bool) {
	init, err := rootfs.FindInit(rootfs.Target, b.line)
	if err != nil {
		return err, false
	}
	b.report.Close()
	if b.devices != nil {
		var now unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // cannot fail
		if err := b.devices.HandOver("/run/udev", time.Duration(now.Nano())); err != nil {
			b.log.Warnf("%v", err) // the root's own udev finds them, later
		}
		b.devices.Close()
		b.devices = nil
	}
	if b.network != nil {
		b.network.Close()
		b.network = nil
	}
	// The secret of this boot is not the root's.
	_ = os.Remove(rdconf.SessionPath)
	b.reaper.Stop()
	env := append(console.Environment()[:2:2], "TERM=linux")
	err, final = rootfs.Switch(init, b.line.InitArgs(), env)
	b.reaper = console.NewReaper()
	return err, final
}

// down ends the boot.
func (b *Boot) down(action, why string) {
	b.log.Infof("%s %s", action, why)
	b.report.Flush(5 * time.Second)
	if err := sys.Reboot(action); err != nil {
		b.log.Errorf("%v", err)
	}
}
