package device

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// Signature reads the filesystem type, label and UUID of the filesystems
// that a root or a boot medium has. Positions are those of each filesystem's
// on-disk format.
func Signature(r io.ReaderAt) (fs, label, uuid string) {
	at := func(off int64, n int) []byte {
		b := make([]byte, n)
		if _, err := r.ReadAt(b, off); err != nil {
			return make([]byte, n)
		}
		return b
	}
	le := binary.LittleEndian
	if sb := at(1024, 1024); le.Uint16(sb[56:]) == 0xef53 {
		compat, incompat := le.Uint32(sb[92:]), le.Uint32(sb[96:])
		fs = "ext2"
		if incompat&0x3c0 != 0 { // extents, 64bit, mmp, flex_bg
			fs = "ext4"
		} else if compat&4 != 0 { // has_journal
			fs = "ext3"
		}
		if incompat&8 != 0 {
			return "jbd", text(sb[120:136]), uuidText(sb[104:120])
		}
		return fs, text(sb[120:136]), uuidText(sb[104:120])
	}
	head := at(0, 512)
	switch {
	case string(head[:4]) == "XFSB":
		return "xfs", text(head[108:120]), uuidText(head[32:48])
	case string(head[:4]) == "hsqs":
		return "squashfs", "", ""
	case string(head[:6]) == "LUKS\xba\xbe":
		return "crypto_LUKS", "", text(head[168:208])
	case head[510] == 0x55 && head[511] == 0xaa && string(head[82:90]) == "FAT32   ":
		return "vfat", fatLabel(head[71:82]), fatUUID(head[67:71])
	case head[510] == 0x55 && head[511] == 0xaa && (string(head[54:59]) == "FAT16" || string(head[54:59]) == "FAT12"):
		return "vfat", fatLabel(head[43:54]), fatUUID(head[39:43])
	}
	if sb := at(0x10000, 1024); string(sb[0x40:0x48]) == "_BHRfS_M" {
		return "btrfs", text(sb[0x12b : 0x12b+256]), uuidText(sb[0x20:0x30])
	}
	if pvd := at(0x8000, 2048); string(pvd[1:6]) == "CD001" {
		d := string(pvd[813:829]) // creation time stands for a UUID
		if strings.Trim(d, "0123456789") == "" {
			uuid = fmt.Sprintf("%s-%s-%s-%s-%s-%s-%s", d[0:4], d[4:6], d[6:8], d[8:10], d[10:12], d[12:14], d[14:16])
		}
		return "iso9660", strings.TrimRight(text(pvd[40:72]), " "), uuid
	}
	if sb := at(1024, 128); le.Uint32(sb) == 0xe0f5e1e2 {
		return "erofs", text(sb[64:80]), uuidText(sb[48:64])
	}
	if sw := at(4086, 10); string(sw) == "SWAPSPACE2" {
		h := at(1024, 64)
		return "swap", text(h[28:44]), uuidText(h[12:28])
	}
	return "", "", ""
}

func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
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
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Partition reads the UUID and name of partition num out of a GPT, or makes
// the UUID of an MBR partition.
func Partition(disk io.ReaderAt, num int, sector int64) (uuid, name string) {
	h := make([]byte, 92)
	le := binary.LittleEndian
	if _, err := disk.ReadAt(h, sector); err == nil && string(h[:8]) == "EFI PART" {
		first, count, size := int64(le.Uint64(h[72:])), int64(le.Uint32(h[80:])), int64(le.Uint32(h[84:]))
		if num < 1 || int64(num) > count || size < 128 || size > 4096 || first < 2 || first > 1<<40 {
			return "", ""
		}
		e := make([]byte, 128)
		if _, err := disk.ReadAt(e, first*sector+int64(num-1)*size); err != nil {
			return "", ""
		}
		g := e[16:32]
		var u []uint16
		for i := 56; i < 128; i += 2 {
			c := le.Uint16(e[i:])
			if c == 0 {
				break
			}
			u = append(u, c)
		}
		return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(g), le.Uint16(g[4:]), le.Uint16(g[6:]), g[8:10], g[10:]), string(utf16.Decode(u))
	}
	mbr := make([]byte, 512)
	if _, err := disk.ReadAt(mbr, 0); err == nil && mbr[510] == 0x55 && mbr[511] == 0xaa && le.Uint32(mbr[440:]) != 0 {
		return fmt.Sprintf("%08x-%02x", le.Uint32(mbr[440:]), num), ""
	}
	return "", ""
}
