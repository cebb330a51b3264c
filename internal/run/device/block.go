package device

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Block is a block device as the ramdisk knows it.
type Block struct {
	Name      string // vda1
	Disk      string // of a partition: vda
	Size      int64
	FS        string // ext4, squashfs, ...
	Label     string
	UUID      string
	PartUUID  string
	PartLabel string
	ID        string // virtio-SERIAL, ata-..., nvme-...
}

// Describe is the device in one short phrase.
func (b Block) Describe() string {
	s := b.Name
	var with []string
	if b.FS != "" {
		with = append(with, b.FS)
	}
	if b.Label != "" {
		with = append(with, "LABEL="+b.Label)
	}
	if len(with) > 0 {
		s += " (" + strings.Join(with, " ") + ")"
	}
	return s
}

// block looks at a device again and renews its links.
func (m *Manager) block(name string) {
	b, ok := m.probe(name)
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropLinks(m.blocks[name])
	m.blocks[name] = b
	for _, l := range b.links() {
		p := filepath.Join(m.dev, "disk", l)
		// The first device with a name keeps it.
		if os.MkdirAll(filepath.Dir(p), 0o755) == nil {
			_ = os.Symlink("../../"+name, p)
		}
	}
	m.notify()
}

func (m *Manager) unblock(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropLinks(m.blocks[name])
	delete(m.blocks, name)
	m.notify()
}

func (m *Manager) dropLinks(b Block) {
	if b.Name == "" {
		return
	}
	for _, l := range b.links() {
		p := filepath.Join(m.dev, "disk", l)
		if to, err := os.Readlink(p); err == nil && filepath.Base(to) == b.Name {
			_ = os.Remove(p)
		}
	}
}

// links are the names below /dev/disk.
func (b Block) links() []string {
	var out []string
	add := func(kind, v string) {
		if v != "" {
			out = append(out, filepath.Join("by-"+kind, Encode(v)))
		}
	}
	add("label", b.Label)
	add("uuid", b.UUID)
	add("partuuid", b.PartUUID)
	add("partlabel", b.PartLabel)
	add("id", b.ID)
	return out
}

// Encode writes a label the way udev does in file names.
func Encode(s string) string {
	var o strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x80 || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("#+-.:=@_", c) >= 0 {
			o.WriteByte(c)
		} else {
			fmt.Fprintf(&o, `\x%02x`, c)
		}
	}
	return o.String()
}

func (m *Manager) probe(name string) (Block, bool) {
	if unprobed(name) {
		return Block{}, false
	}
	dir := filepath.Join(m.sys, "class/block", name)
	b := Block{Name: name}
	n, _ := strconv.ParseInt(m.attr(dir, "size"), 10, 64)
	if b.Size = n * 512; b.Size == 0 {
		return Block{}, false
	}
	disk := dir
	part := m.attr(dir, "partition")
	if part != "" {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return Block{}, false
		}
		b.Disk = filepath.Base(filepath.Dir(real))
		disk = filepath.Join(m.sys, "class/block", b.Disk)
	}
	b.ID = m.id(disk, filepath.Base(disk))
	if b.ID != "" && part != "" {
		b.ID += "-part" + part
	}
	f, err := os.Open(filepath.Join(m.dev, name))
	if err != nil {
		return b, true
	}
	defer f.Close()
	b.FS, b.Label, b.UUID = Signature(f)
	if part != "" {
		if d, err := os.Open(filepath.Join(m.dev, b.Disk)); err == nil {
			defer d.Close()
			num, _ := strconv.Atoi(part)
			ss, _ := strconv.Atoi(m.attr(disk, "queue/logical_block_size"))
			b.PartUUID, b.PartLabel = Partition(d, num, int64(max(ss, 512)))
		}
	}
	return b, true
}

// unprobed are devices that hold nothing by themselves.
func unprobed(name string) bool {
	return strings.HasPrefix(name, "ram") || strings.HasPrefix(name, "loop")
}

func (m *Manager) attr(dir, name string) string {
	s, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(s))
}

// id is udev's by-id name for the buses whose name needs no tool.
func (m *Manager) id(dir, disk string) string {
	under := func(s string) string { return strings.Join(strings.Fields(s), "_") }
	switch {
	case strings.HasPrefix(disk, "vd"):
		if s := m.attr(dir, "serial"); s != "" {
			return "virtio-" + under(s)
		}
	case strings.HasPrefix(disk, "nvme"):
		model, serial := m.attr(dir, "device/model"), m.attr(dir, "device/serial")
		if serial != "" {
			return "nvme-" + under(model) + "_" + under(serial)
		}
	case strings.HasPrefix(disk, "sd"):
		// VPD page 0x80: four bytes of header, then the serial number.
		vpd, _ := os.ReadFile(filepath.Join(dir, "device/vpd_pg80"))
		if len(vpd) > 4 {
			serial, model := under(strings.Trim(string(vpd[4:]), "\x00 ")), under(m.attr(dir, "device/model"))
			if m.attr(dir, "device/vendor") == "ATA" {
				return "ata-" + model + "_" + serial
			}
			return "scsi-S" + under(m.attr(dir, "device/vendor")) + "_" + model + "_" + serial
		}
	}
	return ""
}

// Find returns the device that a root= form names.
func (m *Manager) Find(form string) (path string, b Block, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, v, isTag := strings.Cut(form, "=")
	var names []string
	for n := range m.blocks {
		names = append(names, n)
	}
	sort.Strings(names)
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
	for _, n := range names {
		b := m.blocks[n]
		if v != "" && (k == "LABEL" && b.Label == v || k == "PARTLABEL" && b.PartLabel == v ||
			k == "UUID" && strings.EqualFold(b.UUID, v) || k == "PARTUUID" && strings.EqualFold(b.PartUUID, v)) {
			return filepath.Join(m.dev, n), b, true
		}
	}
	return "", Block{}, false
}

// Seen describes the block devices found so far.
func (m *Manager) Seen() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, b := range m.blocks {
		out = append(out, b.Describe())
	}
	sort.Strings(out)
	if len(out) == 0 {
		return "none"
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
			return "", Block{}, fmt.Errorf("no device %s within %s; disks seen: %s", form, limit, m.Seen())
		case <-ctx.Done():
			return "", Block{}, ctx.Err()
		}
	}
}
