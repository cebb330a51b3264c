// Package device finds the machine's devices and makes them usable: it loads
// the modules that their modaliases ask for, at boot (coldplug) and as they
// appear (uevents), and gives block devices their stable names under
// /dev/disk. It replaces udev in the ramdisk for exactly that; names of NICs
// and permissions are left as the kernel makes them.
package device

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"bareroot/internal/run/console"
)

// Needs are what the boot needs of the devices.
type Needs struct {
	Network bool // NICs come first; else last
	// All disks, rather than one that is waited for by name: disk controllers
	// are then waited for when their module is loaded.
	All bool
	// Nodes asks for nodes in /dev, which a kernel without devtmpfs does not make.
	Nodes bool
}

// Manager owns the devices until Close.
type Manager struct {
	Log     *console.Log
	Modules *Modules // nil: a kernel without modules

	sys    string // "/sys"
	dev    string // "/dev"
	sock   *socket
	cancel context.CancelFunc
	wg     sync.WaitGroup
	needs  Needs
	alone  map[string]bool // modules to be loaded in the background
	slots  chan struct{}   // bounds how many devices are looked at at once

	mu      sync.Mutex
	seen    map[string]bool     // modaliases, and "module NAME"
	queue   [urgencies][]string // modules to load, by urgency
	loading [urgencies]int      // how many of each urgency are being loaded
	virtio  bool                // virtio_pci is: its bus has not all its devices yet
	since   time.Time           // the most urgent modules have been at it, zero if there are none
	enough  bool                // nobody waits for devices
	wanted  bool                // a device was asked for and not there
	fresh   bool                // since then one was found, and nobody has asked again
	found   bool                // what was asked for last is there
	wake    *sync.Cond
	closed  bool
	walked  bool                // the first coldplug is through
	seq     uint64              // of the newest uevent handled
	first   uint64              // the kernel's number when the socket was opened
	blocks  map[string]Block    // by kernel name
	tags    map[string][]string // "UUID=...", "LABEL=...": kernel names, sorted
	looks   map[string]*look    // devices being looked at
	changed chan struct{}       // closed and replaced whenever something changed
}

// Start opens the uevent socket, starts the loaders and walks the devices
// that exist. It returns at once.
func Start(ctx context.Context, log *console.Log, mods *Modules, needs Needs) (*Manager, error) {
	s, err := openSocket()
	if err != nil {
		return nil, err
	}
	m := newManager(log, mods, "/sys", "/dev")
	m.sock = s
	m.needs = needs
	if !needs.All && mods != nil {
		m.alone = m.aloneWithDriver()
	}
	if needs.Nodes {
		m.makeNodes() // of what came before there was the socket
	}
	m.first = m.kernelSeq()
	ctx, m.cancel = context.WithCancel(ctx)
	m.startLoaders()
	m.wg.Add(2)
	go func() { defer m.wg.Done(); m.listen(ctx) }()
	go func() {
		defer m.wg.Done()
		m.urgent()
		if !needs.All {
			m.afterUrgent()
		}
		m.walk(ctx)
		m.mu.Lock()
		m.walked = true
		m.notify()
		m.mu.Unlock()
	}()
	return m, nil
}

func newManager(log *console.Log, mods *Modules, sysDir, dev string) *Manager {
	m := &Manager{Log: log, Modules: mods, sys: sysDir, dev: dev, seen: map[string]bool{}, blocks: map[string]Block{}, tags: map[string][]string{}, looks: map[string]*look{},
		slots: make(chan struct{}, atOnce), changed: make(chan struct{})}
	m.wake = sync.NewCond(&m.mu)
	return m
}

// Close stops everything and waits for it.
func (m *Manager) Close() {
	m.cancel()
	m.mu.Lock()
	m.closed = true
	m.wake.Broadcast()
	m.mu.Unlock()
	m.wg.Wait()
	m.sock.close()
	m.leave()
}

// listen handles uevents. Lost ones are made up for by a new coldplug.
func (m *Manager) listen(ctx context.Context) {
	buf := make([]byte, 64<<10)
	for ctx.Err() == nil {
		u, err := m.sock.read(ctx, buf)
		if errors.Is(err, errLost) {
			m.Log.Warnf("the kernel dropped device events; all devices are looked at again")
			last := m.kernelSeq()
			if m.needs.Nodes {
				m.makeNodes()
			}
			m.Coldplug(ctx)
			m.handled(last)
			continue
		}
		if err != nil {
			if ctx.Err() == nil {
				m.Log.Errorf("device events end here: %v", err)
			}
			return
		}
		if u.Subsystem == "block" || u.Subsystem == "net" {
			m.Log.Debugf("uevent %s %s %s", u.Action, u.Subsystem, u.DevPath)
		}
		if m.needs.Nodes {
			m.node(u)
		}
		switch {
		case u.Action == "remove" && u.Subsystem == "block":
			m.look(filepath.Base(u.DevPath), true)
		case u.Subsystem == "block":
			m.look(filepath.Base(u.DevPath), false)
		case u.Action == "add" || u.Action == "change":
			if u.Modalias != "" {
				m.want(u.Modalias)
			}
		}
		n, _ := strconv.ParseUint(u.Seq, 10, 64)
		m.handled(n)
	}
}

func (m *Manager) makeNodes() {
	if err := MakeNodes(m.sys, m.dev); err != nil {
		m.Log.Warnf("%v", err)
	}
}

// handled notes that uevents up to seq were handled.
func (m *Manager) handled(seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if seq > m.seq {
		m.seq = seq
		m.notify()
	}
}

// kernelSeq is the number of the newest uevent that the kernel made.
func (m *Manager) kernelSeq() uint64 {
	n, _ := strconv.ParseUint(attr(m.sys, "kernel/uevent_seqnum"), 10, 64)
	return n
}

// Settle waits until the devices of the machine have their drivers: all were
// looked at, no module is queued or loading, and every uevent was handled.
// What a driver finds later, such as a disk on a slow bus, is not waited for.
func (m *Manager) Settle(ctx context.Context, limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	for {
		m.mu.Lock()
		m.more()
		changed, settled := m.changed, m.settled()
		m.mu.Unlock()
		if settled {
			return true
		}
		select {
		case <-changed:
		case <-t.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// settled is Settled. m.mu is held.
func (m *Manager) settled() bool {
	if !m.walked || m.busy() > 0 || m.queued()+len(m.looks) > 0 {
		return false
	}
	// Events from before our socket was opened never come; no module of ours
	// caused them.
	seq := m.kernelSeq()
	return m.seq >= seq || seq == m.first
}

// want queues the modules of a modalias, once.
func (m *Manager) want(alias string) {
	// What the processors' aliases name is crypto for their instructions: who
	// needs it asks the kernel for it by algorithm, and its self-tests would
	// take longer than all the rest.
	if alias == "" || m.Modules == nil || strings.HasPrefix(alias, "cpu:") {
		return
	}
	m.mu.Lock()
	known := m.seen[alias]
	m.seen[alias] = true
	m.mu.Unlock()
	if known {
		return
	}
	names := m.Modules.Match(alias)
	if len(names) == 0 {
		return
	}
	class := m.urgency(alias)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range names {
		if key := "module " + n; !m.seen[key] {
			m.seen[key] = true
			m.queue[class] = append(m.queue[class], n)
		}
	}
	m.wake.Broadcast()
}

// notify wakes those who wait for a change. m.mu is held.
func (m *Manager) notify() {
	close(m.changed)
	m.changed = make(chan struct{})
	m.wake.Broadcast()
}

// Changed is closed at the next change of devices or loaded modules. Who asks
// for it waits for devices, and again if what it had found was not enough.
func (m *Manager) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.more()
	if m.found {
		m.found = false
		m.judged()
	}
	return m.changed
}
