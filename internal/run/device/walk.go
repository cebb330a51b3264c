package device

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"bareroot/internal/sys"
)

// Coldplug looks at the devices that there are: modaliases are queued for
// loading, block devices named; those that have gone are forgotten.
func (m *Manager) Coldplug(ctx context.Context) {
	m.mu.Lock()
	known := slices.Collect(maps.Keys(m.blocks))
	m.mu.Unlock()
	for _, name := range known {
		if _, err := os.Lstat(filepath.Join(m.sys, "class/block", name)); errors.Is(err, fs.ErrNotExist) {
			m.look(name, true)
		}
	}
	m.urgent()
	m.walk(ctx)
}

// urgent is what a root is most likely to be on, or to come through.
func (m *Manager) urgent() {
	var aliases [rest][]string
	for _, bus := range []string{"pci", "virtio"} {
		found, _ := filepath.Glob(filepath.Join(m.sys, "bus", bus, "devices/*/modalias"))
		for _, p := range found {
			if alias := sys.Line(p); alias != "" {
				if u := m.urgency(alias); u < rest {
					aliases[u] = append(aliases[u], alias)
				}
			}
		}
	}
	for _, list := range aliases {
		for _, a := range list {
			m.want(a)
		}
	}
	entries, _ := os.ReadDir(filepath.Join(m.sys, "class/block")) // there may be no such class yet
	for _, e := range entries {
		m.look(e.Name(), false)
	}
}

// walk looks at all devices. It pauses while nobody waits for any.
func (m *Manager) walk(ctx context.Context) {
	_ = filepath.WalkDir(filepath.Join(m.sys, "devices"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || !m.proceed(ctx) {
			return ctx.Err()
		}
		switch d.Name() {
		case "modalias":
			if alias := sys.Line(p); alias != "" {
				m.want(alias)
			}
		case "power", "trace", "node": // no devices below
			if d.IsDir() {
				return fs.SkipDir
			}
		}
		return nil
	})
}

// proceed waits while nobody waits for devices. It says whether to go on.
func (m *Manager) proceed(ctx context.Context) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.enough && !m.closed && ctx.Err() == nil {
		m.wake.Wait()
	}
	return !m.closed && ctx.Err() == nil
}

// afterUrgent waits, for a bounded time, until what is urgent was loaded and
// its disks were seen: the root may be among them, and the walk in vain.
func (m *Manager) afterUrgent() {
	m.mu.Lock()
	defer m.mu.Unlock()
	over := false
	t := time.AfterFunc(barrier, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		over = true
		m.wake.Broadcast()
	})
	defer t.Stop()
	for !m.closed && !over && (m.enough || m.loading[nics]+m.loading[quick]+len(m.queue[nics])+len(m.queue[quick]) > 0 || m.finding(disks)) {
		m.wake.Wait()
	}
}
