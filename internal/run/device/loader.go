package device

import (
	"runtime"
	"strings"
	"time"
)

// barrier is how long modules of one urgency may hold up those of the next.
const barrier = 500 * time.Millisecond

// virtioBus finds virtio's devices on PCI, one after the other. A driver for them
// that comes while it does takes some of them from the front and some as they are
// found, at once: which disk is vda, and which NIC eth0, would differ from boot to boot.
const virtioBus = "virtio_pci"

// startLoaders starts those that load what is queued.
func (m *Manager) startLoaders() {
	for range runtime.NumCPU() + 2 {
		m.wg.Add(1)
		go func() { defer m.wg.Done(); m.loader() }()
	}
}

// Enough says that the boot has the devices it waited for: no further module
// is loaded, the root's own udev does that, until somebody waits again.
func (m *Manager) Enough() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.enough = !m.needs.All
}

// More undoes Enough: somebody may need a keyboard, say.
func (m *Manager) More() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.more()
}

// more is More. m.mu is held.
func (m *Manager) more() {
	if m.enough {
		m.enough = false
		m.wake.Broadcast()
	}
}

func (m *Manager) loader() {
	for {
		m.mu.Lock()
		name, level, ok := m.next()
		for !m.closed && !ok {
			m.wake.Wait()
			name, level, ok = m.next()
		}
		if m.closed {
			m.mu.Unlock()
			return
		}
		m.loading[level]++
		m.virtio = m.virtio || name == virtioBus
		m.mu.Unlock()
		load := m.Modules.Load
		if m.alone[name] {
			load = m.Modules.LoadBackground
		}
		if err := load(name); err != nil {
			m.Log.Debugf("%v", err)
		} else {
			m.Log.Debugf("module %s loaded", name)
		}
		m.mu.Lock()
		m.loading[level]--
		m.virtio = m.virtio && name != virtioBus
		m.notify()
		m.mu.Unlock()
	}
}

// next takes the most urgent module out of the queue. While more urgent ones
// are being loaded, or may still turn up, the others wait, for a bounded time:
// a root that is found first spares them. m.mu is held.
func (m *Manager) next() (name string, level int, ok bool) {
	if m.closed || m.enough {
		return "", 0, false
	}
	above := 0
	for level, q := range m.queue {
		if len(q) > 0 && m.virtio && strings.HasPrefix(q[0], "virtio_") {
			above++
			continue
		}
		if len(q) > 0 && (above == 0 && !m.finding(level) || m.overdue()) {
			m.queue[level] = q[1:]
			m.since = time.Time{}
			return q[0], level, true
		}
		if len(q) > 0 {
			return "", 0, false
		}
		above += m.loading[level]
	}
	return "", 0, false
}

// judged ends the pause of those that load: the devices that were found are not
// all that the boot needs. m.mu is held.
func (m *Manager) judged() {
	if m.fresh {
		m.fresh = false
		m.wake.Broadcast()
	}
}

// finding says whether what is under way may still bring modules that are more
// urgent than level, or spare those of level: devices that are looked at or that nobody
// has judged yet, events not handled yet.
func (m *Manager) finding(level int) bool {
	if level <= quick {
		return false
	}
	seq := m.kernelSeq()
	return level > disks && !m.walked || len(m.looks) > 0 || m.fresh || m.seq < seq && seq != m.first
}

// overdue says that modules have waited long enough for more urgent ones.
func (m *Manager) overdue() bool {
	if m.since.IsZero() {
		m.since = time.Now()
		// Somebody has to look again when the time is over.
		time.AfterFunc(barrier, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.wake.Broadcast()
		})
	}
	if time.Since(m.since) < barrier {
		return false
	}
	m.fresh = false
	return true
}

// queued is the number of modules that wait to be loaded. m.mu is held.
func (m *Manager) queued() int {
	n := 0
	for _, q := range m.queue {
		n += len(q)
	}
	return n
}

// busy is the number of modules that are being loaded. m.mu is held.
func (m *Manager) busy() int {
	n := 0
	for _, l := range m.loading {
		n += l
	}
	return n
}
