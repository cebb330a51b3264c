package device

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// Content is what is on a device. The names of FS are those of libblkid.
type Content struct {
	FS    string // ext4, crypto_LUKS, LVM2_member, linux_raid_member, ...
	Label string
	UUID  string // of the filesystem, or of the array that this is a member of
	Count int    // devices of a btrfs
	Dev   int    // which of them this is
	LUKS  int    // version
	Whole bool   // the mark is at the end, so that partitions of the array show on the member
}

// RAID says whether the device is a part of something and has no content of
// its own: what looks like a filesystem on it is the array's.
func (c Content) RAID() bool { return strings.HasSuffix(c.FS, "_raid_member") }

// Signature reads the filesystem type, label and UUID of a file or device
// whose size does not matter.
func Signature(r io.ReaderAt) (fs, label, uuid string) {
	c := Identify(r, 0)
	return c.FS, c.Label, c.UUID
}

// magic is a filesystem that a few bytes tell. Positions are those of its
// on-disk format; 0 for what it does not have.
type magic struct {
	fs          string
	at          int64
	is          string
	label, uuid int64
	labelLen    int
}

var magics = []magic{
	{fs: "xfs", is: "XFSB", label: 108, labelLen: 12, uuid: 32},
	{fs: "squashfs", is: "hsqs"},
	{fs: "btrfs", at: 0x10040, is: "_BHRfS_M", label: 0x1012b, labelLen: 256, uuid: 0x10020},
	{fs: "f2fs", at: 1024, is: "\x10\x20\xf5\xf2", uuid: 1024 + 108},
	{fs: "bcachefs", at: 4096 + 24, is: "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", label: 4096 + 72, labelLen: 32, uuid: 4096 + 56},
	{fs: "erofs", at: 1024, is: "\xe2\xe1\xf5\xe0", label: 1024 + 64, labelLen: 16, uuid: 1024 + 48},
	{fs: "jfs", at: 0x8000, is: "JFS1", label: 0x8000 + 152, labelLen: 16, uuid: 0x8000 + 136},
	{fs: "reiserfs", at: 0x10034, is: "ReIsEr", label: 0x10064, labelLen: 16, uuid: 0x10054},
	{fs: "nilfs2", at: 1030, is: "\x34\x34", label: 1024 + 168, labelLen: 80, uuid: 1024 + 152},
	{fs: "cramfs", is: "\x45\x3d\xcd\x28"},
	{fs: "exfat", at: 3, is: "EXFAT   "},
	{fs: "ntfs", at: 3, is: "NTFS    "},
	{fs: "gfs2", at: 0x10000, is: "\x01\x16\x19\x70\x00\x00\x00\x01", label: 0x10000 + 96, labelLen: 64, uuid: 0x10000 + 256},
	{fs: "ocfs2", at: 8192, is: "OCFSV2", label: 8192 + 336, labelLen: 64, uuid: 8192 + 400},
}

// Identify reads what is on a device of size bytes; with size 0 it does not
// look at the end, where some arrays have their mark.
func Identify(r io.ReaderAt, size int64) Content {
	// One read for nearly all of it: disks are slower than memory.
	start := make([]byte, 72<<10)
	have, _ := r.ReadAt(start, 0) // what is not there is zero
	at := func(off int64, n int) []byte {
		if off >= 0 && off+int64(n) <= int64(len(start)) {
			if off+int64(n) > int64(have) {
				return make([]byte, n)
			}
			return start[off : off+int64(n) : off+int64(n)]
		}
		b := make([]byte, n)
		if off < 0 {
			return b
		}
		if _, err := r.ReadAt(b, off); err != nil {
			return make([]byte, n)
		}
		return b
	}
	le := binary.LittleEndian
	// A member of an array before the filesystem that shines through.
	if c, ok := member(at, size); ok {
		return c
	}
	head := at(0, 512)
	switch {
	case string(head[:6]) == "LUKS\xba\xbe":
		c := Content{FS: "crypto_LUKS", UUID: text(head[168:208]), LUKS: int(head[6])<<8 | int(head[7])}
		if c.LUKS == 2 {
			c.Label = text(head[24:72])
		}
		return c
	case head[510] == 0x55 && head[511] == 0xaa && string(head[82:90]) == "FAT32   ":
		return Content{FS: "vfat", Label: fatLabel(head[71:82]), UUID: fatUUID(head[67:71])}
	case head[510] == 0x55 && head[511] == 0xaa && (string(head[54:59]) == "FAT16" || string(head[54:59]) == "FAT12"):
		return Content{FS: "vfat", Label: fatLabel(head[43:54]), UUID: fatUUID(head[39:43])}
	}
	if sb := at(1024, 1024); le.Uint16(sb[56:]) == 0xef53 {
		compat, incompat := le.Uint32(sb[92:]), le.Uint32(sb[96:])
		c := Content{FS: "ext2", Label: text(sb[120:136]), UUID: uuidText(sb[104:120])}
		switch {
		case incompat&8 != 0:
			c.FS = "jbd"
		case incompat&0x3c0 != 0: // extents, 64bit, mmp, flex_bg
			c.FS = "ext4"
		case compat&4 != 0: // has_journal
			c.FS = "ext3"
		}
		return c
	}
	for _, m := range magics {
		if string(at(m.at, len(m.is))) != m.is {
			continue
		}
		c := Content{FS: m.fs}
		if m.labelLen > 0 {
			c.Label = text(at(m.label, m.labelLen))
		}
		if m.uuid > 0 {
			c.UUID = uuidText(at(m.uuid, 16))
		}
		switch m.fs {
		case "btrfs":
			c.Count, c.Dev = small(le.Uint64(at(0x10088, 8))), small(le.Uint64(at(0x100c9, 8)))
		case "f2fs":
			c.Label = wide(at(1024+124, 1024))
		case "ntfs":
			c.UUID = fmt.Sprintf("%016X", le.Uint64(head[72:]))
		case "exfat":
			c.UUID = fatUUID(head[100:104])
		}
		return c
	}
	if pvd := at(0x8000, 2048); string(pvd[1:6]) == "CD001" {
		c := Content{FS: "iso9660", Label: strings.TrimRight(text(pvd[40:72]), " ")}
		d := string(pvd[813:829]) // creation time stands for a UUID
		if strings.Trim(d, "0123456789") == "" {
			c.UUID = fmt.Sprintf("%s-%s-%s-%s-%s-%s-%s", d[0:4], d[4:6], d[6:8], d[8:10], d[10:12], d[12:14], d[14:16])
		}
		return c
	}
	for _, page := range []int64{4 << 10, 16 << 10, 64 << 10} {
		fs := ""
		switch sw := string(at(page-10, 10)); {
		case sw == "SWAPSPACE2":
			fs = "swap"
		case Hibernated([]byte(sw)):
			fs = "swsuspend"
		default:
			continue
		}
		h := at(1024, 64)
		return Content{FS: fs, Label: text(h[28:44]), UUID: uuidText(h[12:28])}
	}
	return Content{}
}

// Hibernated says whether the last ten bytes of a page of swap are the
// kernel's mark of a hibernated system.
func Hibernated(mark []byte) bool { return strings.HasPrefix(string(mark), "S1SUSPEND") }

// member finds the marks of RAID and LVM.
func member(at func(int64, int) []byte, size int64) (Content, bool) {
	le := binary.LittleEndian
	// md since 2003: at the start, 4 KiB from it, or near the end; the
	// superblock says where it is, so that a partition's is not taken for the disk's.
	places := []int64{0, 4096}
	if size > 1<<20 {
		places = append(places, (size/512-16)&^7*512)
	}
	for _, p := range places {
		if sb := at(p, 256); le.Uint32(sb) == 0xa92b4efc && le.Uint32(sb[4:]) == 1 && le.Uint64(sb[144:]) == uint64(p/512) {
			return Content{FS: "linux_raid_member", Label: text(sb[32:64]), UUID: uuidText(sb[16:32]), Whole: p > 4096}, true
		}
	}
	for s := int64(0); s < 4; s++ {
		if l := at(s*512, 512); string(l[:8]) == "LABELONE" && string(l[24:32]) == "LVM2 001" {
			c := Content{FS: "LVM2_member"}
			if off := int(le.Uint32(l[20:])); off >= 32 && off+32 <= len(l) {
				id := string(l[off : off+32])
				c.UUID = id[:6] + "-" + id[6:10] + "-" + id[10:14] + "-" + id[14:18] + "-" + id[18:22] + "-" + id[22:26] + "-" + id[26:]
			}
			return c, true
		}
	}
	if size < 1<<20 {
		return Content{}, false
	}
	// md 0.90: in the last full 64 KiB but one; its size of this member tells
	// a partition at the end of a disk from the disk.
	if p := size&^(64<<10-1) - 64<<10; p > 0 {
		if sb := at(p, 256); le.Uint32(sb) == 0xa92b4efc && le.Uint32(sb[4:]) == 0 && (le.Uint32(sb[32:]) == 0 || int64(le.Uint32(sb[32:]))<<10 > p-max(4<<20, p/64)) {
			// The digits as mdadm prints them: four words of the host's order.
			w := []uint32{le.Uint32(sb[20:]), le.Uint32(sb[52:]), le.Uint32(sb[56:]), le.Uint32(sb[60:])}
			h := fmt.Sprintf("%08x%08x%08x%08x", w[0], w[1], w[2], w[3])
			b, _ := hex.DecodeString(h) // 32 digits
			return Content{FS: "linux_raid_member", UUID: uuidText(b), Whole: true}, true
		}
	}
	// What firmware understands: Intel's in the last sector but one, DDF in the last.
	if string(at(size-1024, 24)) == "Intel Raid ISM Cfg Sig. " {
		return Content{FS: "isw_raid_member", Whole: true}, true
	}
	if string(at(size-512, 4)) == "\xde\x11\xde\x11" {
		return Content{FS: "ddf_raid_member", Whole: true}, true
	}
	return Content{}, false
}

func small(n uint64) int {
	if n > 1<<20 {
		return 0
	}
	return int(n)
}

func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// wide reads UTF-16.
func wide(b []byte) string {
	var u []uint16
	for i := 0; i+1 < len(b); i += 2 {
		c := binary.LittleEndian.Uint16(b[i:])
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}

func fatLabel(b []byte) string {
	if s := strings.TrimRight(string(b), " \x00"); s != "NO NAME" {
		return s
	}
	return ""
}

func fatUUID(b []byte) string {
	return fmt.Sprintf("%02X%02X-%02X%02X", b[3], b[2], b[1], b[0])
}

func uuidText(b []byte) string {
	h := hex.EncodeToString(b)
	if strings.Trim(h, "0") == "" {
		return ""
	}
	return Dashed(h)
}

// Dashed is the usual spelling of a UUID's 32 digits.
func Dashed(digits string) string {
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}
