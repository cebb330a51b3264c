package device

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// atOnce is how many devices are read at once: disks are slow, not the processor.
const atOnce = 32

// leaveBound is how long Close waits for disks that do not answer.
const leaveBound = 2 * time.Second

// look is one device being looked at, by a goroutine of its own: a disk that
// does not answer holds up nobody else.
type look struct{ again, gone bool }

// look renews what is known of a block device. gone: the kernel removed it.
func (m *Manager) look(name string, gone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.looks[name]; l != nil {
		l.again, l.gone = true, gone
		return
	}
	l := &look{gone: gone}
	m.looks[name] = l
	go m.looking(name, l) // leave waits for it
}

func (m *Manager) looking(name string, l *look) {
	m.slots <- struct{}{}
	defer func() { <-m.slots }()
	for {
		m.mu.Lock()
		gone := l.gone
		l.again = false
		m.mu.Unlock()
		var b Block
		there := false
		if !gone {
			b, there = m.probe(name)
		}
		m.mu.Lock()
		m.note(name, b, there)
		again := l.again
		if !again {
			delete(m.looks, name)
		}
		m.notify()
		m.mu.Unlock()
		if !again {
			return
		}
	}
}

// leave waits for those that still read, for a bounded time.
func (m *Manager) leave() {
	t := time.NewTimer(leaveBound)
	defer t.Stop()
	for {
		m.mu.Lock()
		n, changed := len(m.looks), m.changed
		m.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-changed:
		case <-t.C:
			m.Log.Warnf("%d disks do not answer and are left", n)
			return
		}
	}
}

// note puts a device into the table, or takes it out, and renews its links.
// m.mu is held.
func (m *Manager) note(name string, b Block, there bool) {
	old, known := m.blocks[name]
	if known {
		for _, t := range old.tags() {
			names := slices.DeleteFunc(m.tags[t], func(n string) bool { return n == name })
			if m.tags[t] = names; len(names) == 0 {
				delete(m.tags, t)
			}
		}
		delete(m.blocks, name)
		for _, l := range old.links() {
			m.link(l, name, old)
		}
	}
	if !there {
		return
	}
	m.blocks[name] = b
	m.fresh = m.fresh || !known && m.wanted && !m.needs.All
	for _, t := range b.tags() {
		at, found := slices.BinarySearch(m.tags[t], name)
		if !found {
			m.tags[t] = slices.Insert(m.tags[t], at, name)
		}
	}
	for _, l := range b.links() {
		p := filepath.Join(m.dev, "disk", l)
		// The first device with a name keeps it.
		if err := os.Symlink("../../"+name, p); errors.Is(err, os.ErrNotExist) && os.MkdirAll(filepath.Dir(p), 0o755) == nil {
			_ = os.Symlink("../../"+name, p)
		}
	}
}

// link gives a name that device name leaves to another device that has it
// too, if there is one. m.mu is held.
func (m *Manager) link(l, name string, old Block) {
	p := filepath.Join(m.dev, "disk", l)
	if to, err := os.Readlink(p); err != nil || filepath.Base(to) != name {
		return
	}
	_ = os.Remove(p)
	for _, t := range old.tags() {
		for _, other := range m.tags[t] {
			if slices.Contains(m.blocks[other].links(), l) {
				_ = os.Symlink("../../"+other, p)
				return
			}
		}
	}
}

// tags are the forms of root= and the like by which a device is found.
func (b Block) tags() []string {
	var out []string
	for _, t := range [][2]string{{"LABEL", b.Label}, {"PARTLABEL", b.PartLabel}, {"UUID", strings.ToLower(b.UUID)}, {"PARTUUID", strings.ToLower(b.PartUUID)}} {
		if t[1] != "" {
			out = append(out, t[0]+"="+t[1])
		}
	}
	return out
}

// Find returns the device that a root= form names. Of several with one name
// the first in the order of names is taken.
func (m *Manager) Find(form string) (path string, b Block, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path, b, ok = m.find(form)
	if m.found = ok; !ok {
		m.wanted = true
		m.judged()
	}
	return path, b, ok
}

// find is Find. m.mu is held.
func (m *Manager) find(form string) (path string, b Block, ok bool) {
	k, v, isTag := strings.Cut(form, "=")
	if num := number(form); num != "" {
		b, ok := m.only(func(b Block) bool { return b.Number == num })
		return filepath.Join(m.dev, b.Name), b, ok
	}
	if !isTag || strings.HasPrefix(form, "/dev/") {
		real, err := filepath.EvalSymlinks(form)
		if err != nil {
			return "", Block{}, false
		}
		fi, err := os.Stat(real)
		if err != nil || fi.Mode()&os.ModeDevice == 0 {
			return "", Block{}, false
		}
		name := filepath.Base(real)
		b, probed := m.blocks[name]
		// The kernel makes the node before we have read the device.
		if !probed && !unprobed(name) {
			return "", Block{}, false
		}
		return real, b, true
	}
	v = strings.Trim(v, `"`) // LABEL="my root", as in an fstab
	if strings.HasSuffix(k, "UUID") {
		v = strings.ToLower(v)
	} else {
		v = decode(v)
	}
	v, off, relative := strings.Cut(v, "/partnroff=")
	names := m.tags[k+"="+v]
	if len(names) == 0 {
		return "", Block{}, false
	}
	b = m.blocks[names[0]]
	if relative {
		n, err := strconv.Atoi(off)
		if b, ok = m.only(func(o Block) bool { return o.Disk == b.Disk && o.Part == b.Part+n && o.Part > 0 }); err != nil || !ok {
			return "", Block{}, false
		}
	}
	return filepath.Join(m.dev, b.Name), b, true
}

// only is the first device, by name, that fits.
func (m *Manager) only(fits func(Block) bool) (first Block, ok bool) {
	for _, b := range m.blocks {
		if fits(b) && (!ok || b.Name < first.Name) {
			first, ok = b, true
		}
	}
	return first, ok
}

// number reads the kernel's other forms of root=: "8:1", and the device number
// in hexadecimal as boot loaders wrote it.
func number(form string) string {
	if major, minor, ok := strings.Cut(form, ":"); ok {
		a, err := strconv.ParseUint(major, 10, 12)
		b, err2 := strconv.ParseUint(minor, 10, 20)
		if err != nil || err2 != nil {
			return ""
		}
		return fmt.Sprintf("%d:%d", a, b)
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(form), "0x"), 16, 32)
	if err != nil || n == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%d", n>>8&0xfff, n&0xff|n>>12&0xfff00)
}

// decode undoes Encode where a label was given so.
func decode(s string) string {
	var o strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], `\x`) && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				o.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		o.WriteByte(s[i])
	}
	return o.String()
}

// seenAtMost bounds how many devices a message lists.
const seenAtMost = 24

// Seen describes the block devices found so far.
func (m *Manager) Seen() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, b := range m.blocks {
		out = append(out, b.Describe())
	}
	for name := range m.looks {
		if _, known := m.blocks[name]; !known && !unprobed(name) {
			out = append(out, name+" (does not answer yet)")
		}
	}
	slices.Sort(out)
	if len(out) == 0 {
		return "none"
	}
	if more := len(out) - seenAtMost; more > 0 {
		out = append(out[:seenAtMost], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, ", ")
}

// Wait waits for the device that form names, at most limit, and says every
// ten seconds what it waits for.
func (m *Manager) Wait(ctx context.Context, form string, limit time.Duration) (string, Block, error) {
	end := time.NewTimer(limit)
	defer end.Stop()
	remind := time.NewTicker(10 * time.Second)
	defer remind.Stop()
	for {
		changed := m.Changed()
		if p, b, ok := m.Find(form); ok {
			return p, b, nil
		}
		select {
		case <-changed:
		case <-remind.C:
			m.Log.Infof("waiting for %s: disks seen so far: %s", form, m.Seen())
		case <-end.C:
			if p, b, ok := m.Find(form); ok { // it came in this very moment, or this program had to stand still
				return p, b, nil
			}
			return "", Block{}, fmt.Errorf("no device %s within %s; disks seen: %s", form, limit, m.Seen())
		case <-ctx.Done():
			return "", Block{}, ctx.Err()
		}
	}
}
