package device

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"bareroot/internal/sys"
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
	PartType  string   // GUID of a partition's kind, of a GPT
	NoAuto    bool     // its table says that it is used only by name
	IDs       []string // names below /dev/disk/by-id: virtio-SERIAL, wwn-..., ...
	Paths     []string // names below /dev/disk/by-path
	Seq       string   // number that the kernel gives each appearance of a disk
	Number    string   // "8:1"
	Part      int      // number of a partition
	On        Content  // all that is on it; FS, Label and UUID above are those by which it is found
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
	for _, id := range b.IDs {
		add("id", id)
	}
	for _, p := range b.Paths {
		add("path", p)
	}
	add("diskseq", b.Seq)
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
	if attr(dir, "dm/suspended") == "1" {
		return Block{}, false // a read would wait for its resume
	}
	b := Block{Name: name, Number: attr(dir, "dev")}
	n, _ := strconv.ParseInt(attr(dir, "size"), 10, 64)
	if b.Size = n * 512; b.Size == 0 {
		return Block{}, false
	}
	if (Mapped{Title: attr(dir, "dm/name"), UUID: attr(dir, "dm/uuid")}).hidden() {
		return b, true // what is on it is another's
	}
	disk := dir
	part := attr(dir, "partition")
	if part != "" {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return Block{}, false
		}
		b.Disk = filepath.Base(filepath.Dir(real))
		disk = filepath.Join(m.sys, "class/block", b.Disk)
	}
	b.IDs, b.Paths = m.identity(filepath.Base(disk), disk)
	b.Seq = attr(disk, "diskseq")
	if part != "" {
		for i := range b.IDs {
			b.IDs[i] += "-part" + part
		}
		for i := range b.Paths {
			b.Paths[i] += "-part" + part
		}
		if b.Seq != "" {
			b.Seq += "-part" + part
		}
	}
	if num, on, ok := m.mappedPartition(dir); ok {
		if d, err := os.Open(filepath.Join(m.dev, on)); err == nil {
			b.part(Partition(d, num, 512))
			d.Close()
		}
	}
	f, err := os.Open(filepath.Join(m.dev, name))
	if err != nil {
		return b, true
	}
	defer f.Close()
	b.On = Identify(f, b.Size)
	if b.FS = b.On.FS; !b.On.RAID() && b.FS != "LVM2_member" {
		b.Label, b.UUID = b.On.Label, b.On.UUID
	}
	if part != "" {
		if d, err := os.Open(filepath.Join(m.dev, b.Disk)); err == nil {
			defer d.Close()
			num, _ := strconv.Atoi(part)
			b.Part = num
			size, _ := strconv.ParseInt(attr(disk, "size"), 10, 64)
			if Identify(d, size*512).Whole {
				// What the kernel takes for a partition of the disk is the array's.
				return Block{Name: name, Disk: b.Disk, Size: b.Size, Number: b.Number, Part: num, Seq: b.Seq, On: Content{FS: "array_raid_member"}, FS: "array_raid_member"}, true
			}
			ss, _ := strconv.Atoi(attr(disk, "queue/logical_block_size"))
			b.part(Partition(d, num, int64(max(ss, 512))))
		}
	}
	return b, true
}

func (b *Block) part(p Part) {
	b.PartUUID, b.PartLabel, b.PartType, b.NoAuto = p.UUID, p.Name, p.Type, p.NoAuto
}

// unprobed are devices that hold nothing by themselves.
func unprobed(name string) bool {
	return strings.HasPrefix(name, "ram") || strings.HasPrefix(name, "loop")
}

func attr(dir, name string) string { return sys.Line(filepath.Join(dir, name)) }
