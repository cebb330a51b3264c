// Package boot is PID 1 of every ramdisk: it takes the machine through the
// stages to its root or runs the agent, and when something fails says so
// everywhere and follows the rules for failures. The parts that do the work
// are the packages beside it; what is here is their order. Stage names are
// dracut's.
package boot

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/api"
	"bareroot/internal/cmdline"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/assemble"
	"bareroot/internal/run/console"
	"bareroot/internal/run/device"
	"bareroot/internal/run/errand"
	"bareroot/internal/run/fips"
	"bareroot/internal/run/hook"
	"bareroot/internal/run/netconf"
	"bareroot/internal/run/rootfs"
	"bareroot/internal/sys"
)

// Boot is one boot.
type Boot struct {
	start  time.Time
	nodes  bool // of /dev are made by us
	life   context.Context
	log    *console.Log
	reaper *console.Reaper // runs the ramdisk's programs, too: Run
	terms  *console.Terminals
	asker  *console.Asker // for passphrases
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
	courier *errand.Sender // an agent that speaks to the server
	root    rootfs.Root
	stack   *assemble.Engine // makes the devices that the root is on
	outside []string         // mounts that the root will not see
	order   *api.Order       // the root order being carried out
	tried   []string
	hooks   *hook.Hooks
	adopted map[string]string // variables of hooks that are words by now
	asked   bool              // for more words
	shell   atomic.Bool       // one of ours is open
	ssh     func()            // ends the ssh server; nil: none runs
	aside   func()            // ends the shell beside the boot; nil: none runs
	feeding func()            // ends the feeding of the watchdog; nil: none is fed
	armed   chan struct{}     // closed when it is fed, or there is none
	fips    *fips.Checks

	// mu is held to change line and up, and by the hooks of the initqueue, which
	// run beside the search for the root, to read them.
	mu sync.Mutex

	unpacking sync.Mutex // of the agent
	readying  func()     // ends the unpacking of it in advance; nil: none goes on
}

// Main runs as PID 1. It does not return: the kernel panics when PID 1 ends.
func Main() {
	b := &Boot{start: time.Now(), log: console.NewLog(os.Stderr)}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	b.life = ctx
	b.signals(ctx)
	_ = os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	b.reaper = console.NewReaper()
	b.terms = console.NewTerminals()
	b.asker = console.NewAsker(b.terms, b.log)
	b.hooks = b.newHooks()
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
	var err error
	if b.nodes, err = mountAll(); err != nil {
		b.log.Errorf("%v", err)
	}
	openConsole()
	b.log.SetConsole(console.NewEverywhere(os.Stderr))
	if err := b.log.Attach(rdconf.LogPath); err != nil {
		b.log.Errorf("%v", err)
	}
	b.setXattrs()
	if err := b.asker.Listen(console.AskPath); err != nil {
		b.log.Warnf("%v", err)
	}
	b.bootID = sys.Line("/proc/sys/kernel/random/boot_id")
	b.report.bootID = b.bootID
	// A machine without hardware randomness gathers its own only while
	// somebody waits for it, and DHCP's transaction id does not: this does.
	go func() { _, _ = unix.Getrandom(make([]byte, 1), 0) }() // ends within seconds, whatever happens
	// A break before the first stage, and how much to say, are known from the
	// kernel's own words; the whole line is that stage's work.
	if text, err := os.ReadFile("/proc/cmdline"); err == nil {
		b.line = cmdline.Parse(string(text), "/proc/cmdline").Canonical()
		b.verbosity()
	}
	r := Runner{Stages: b.checked(b.stages()), Before: b.shellBefore, Failed: b.failed}
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
		{"mount", b.stageMountHooks},
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
