package device

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Array is an md device, assembled or being assembled.
type Array struct {
	Name     string // md127
	State    string // inactive, clean, active, read-auto, ...
	Level    string // raid1, container, ...
	External bool   // its metadata is the firmware's; mdmon keeps it
	Members  []string
	Disks    int // that it should have
	Degraded int // that it lacks
}

// Up says whether the array can be read.
func (a Array) Up() bool {
	return a.Level != "container" && a.State != "" && a.State != "inactive" && a.State != "clear"
}

// Arrays reads the md devices from sysfs.
func (m *Manager) Arrays() []Array {
	var out []Array
	dirs, _ := filepath.Glob(filepath.Join(m.sys, "block/md*/md"))
	for _, d := range dirs {
		a := Array{Name: filepath.Base(filepath.Dir(d)), State: attr(d, "array_state"), Level: attr(d, "level")}
		meta := attr(d, "metadata_version")
		a.External = strings.HasPrefix(meta, "external:")
		if a.External && a.Level == "" && !strings.HasPrefix(meta, "external:/") && !strings.HasPrefix(meta, "external:-") {
			a.Level = "container"
		}
		a.Disks, _ = strconv.Atoi(attr(d, "raid_disks"))
		a.Degraded, _ = strconv.Atoi(attr(d, "degraded"))
		members, _ := filepath.Glob(filepath.Join(d, "dev-*"))
		for _, p := range members {
			a.Members = append(a.Members, strings.TrimPrefix(filepath.Base(p), "dev-"))
		}
		out = append(out, a)
	}
	return out
}

// Mapped is a device of the device mapper.
type Mapped struct {
	Name  string // dm-0
	Title string // below /dev/mapper
	UUID  string // "LVM-...", "CRYPT-LUKS2-...", "mpath-..."
	Under []string
}

// links are the names below /dev, by the device mapper's and LVM's rules.
func (d Mapped) links() []string {
	if d.Name == "" || d.hidden() {
		return nil
	}
	out := []string{"mapper/" + d.Title, "disk/by-id/dm-name-" + d.Title}
	if d.UUID != "" {
		out = append(out, "disk/by-id/dm-uuid-"+d.UUID)
	}
	if strings.HasPrefix(d.UUID, "LVM-") {
		const twice = "\x00"
		if vg, lv, ok := strings.Cut(strings.ReplaceAll(d.Title, "--", twice), "-"); ok {
			out = append(out, strings.ReplaceAll(vg+"/"+lv, twice, "-"))
		}
	}
	return out
}

// hidden says whether the device is a part of a logical volume. Some parts
// have a UUID that is longer by the part's kind than "LVM-" and two UUIDs of
// 32 letters; others, as an image of a mirrored volume or the slow side of a
// cached one, only a name that LVM keeps for them. Their content looks like
// the volume's and is not.
func (d Mapped) hidden() bool {
	return strings.HasPrefix(d.UUID, "LVM-") && (len(d.UUID) > 68 || slices.ContainsFunc(partNames, func(s string) bool { return strings.Contains(d.Title, s) }))
}

// partNames are what lvm(8) reserves: no volume of a person has them in its name.
var partNames = []string{"_rimage", "_rmeta", "_mimage", "_mlog", "_cdata", "_cmeta", "_cvol", "_corig", "_wcorig", "_iorig", "_imeta", "_tdata", "_tmeta", "_vdata", "_vorigin", "_pmspare"}

// mappedPartition says whether a mapped device is a partition that kpartx
// made, of which device.
func (m *Manager) mappedPartition(dir string) (num int, on string, ok bool) {
	rest, ok := strings.CutPrefix(attr(dir, "dm/uuid"), "part")
	n, _, dash := strings.Cut(rest, "-")
	num, err := strconv.Atoi(n)
	slaves, _ := os.ReadDir(filepath.Join(dir, "slaves"))
	if !ok || !dash || err != nil || len(slaves) != 1 {
		return 0, "", false
	}
	return num, slaves[0].Name(), true
}

// MappedDevices reads the device mapper's devices from sysfs.
func (m *Manager) MappedDevices() []Mapped {
	var out []Mapped
	dirs, _ := filepath.Glob(filepath.Join(m.sys, "block/dm-*/dm"))
	for _, d := range dirs {
		v := Mapped{Name: filepath.Base(filepath.Dir(d)), Title: attr(d, "name"), UUID: attr(d, "uuid")}
		slaves, _ := os.ReadDir(filepath.Join(filepath.Dir(d), "slaves"))
		for _, s := range slaves {
			v.Under = append(v.Under, s.Name())
		}
		if v.Title != "" && !strings.Contains(v.Title, "/") {
			out = append(out, v)
		}
	}
	return out
}

// Blocks is all block devices that could be read, by name.
func (m *Manager) Blocks() []*Block {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*Block, 0, len(m.blocks))
	for _, b := range m.blocks {
		out = append(out, &b)
	}
	slices.SortFunc(out, func(a, b *Block) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Settled is Settle without the wait.
func (m *Manager) Settled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settled()
}

// Refresh looks again at the md and device mapper devices, after a program
// changed them, and gives the latter their links: the device mapper's own
// library leaves nodes where udev has links, and the root's udev would not
// replace a node.
func (m *Manager) Refresh() error {
	for _, a := range m.Arrays() {
		m.look(a.Name, false)
	}
	dir := filepath.Join(m.dev, "mapper")
	for _, v := range m.MappedDevices() {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("name mapped devices: %w", err)
		}
		p := filepath.Join(dir, v.Title)
		to := "../" + v.Name
		if have, err := os.Readlink(p); err != nil || have != to {
			tmp := filepath.Join(dir, ".tmp-"+v.Name)
			_ = os.Remove(tmp)
			if err := os.Symlink(to, tmp); err != nil {
				return fmt.Errorf("name mapped device %s: %w", v.Title, err)
			}
			if err := unix.Rename(tmp, p); err != nil {
				return fmt.Errorf("name mapped device %s: %w", v.Title, err)
			}
		}
		m.look(v.Name, false)
	}
	return nil
}
