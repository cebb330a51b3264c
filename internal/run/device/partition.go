package device

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Part is what a partition table says about a partition.
type Part struct {
	UUID, Name string
	Type       string // GUID of its kind; "" in an MBR
	NoAuto     bool   // it is not to be used without being named
}

// noAuto is the bit of a partition's attributes that the Discoverable
// Partitions Specification gives this meaning.
const noAuto = 1 << 63

// Partition reads what a GPT says about partition num, or makes the UUID of an
// MBR partition.
func Partition(disk io.ReaderAt, num int, sector int64) Part {
	h := make([]byte, 92)
	le := binary.LittleEndian
	if _, err := disk.ReadAt(h, sector); err == nil && string(h[:8]) == "EFI PART" {
		first, count, size := int64(le.Uint64(h[72:])), int64(le.Uint32(h[80:])), int64(le.Uint32(h[84:]))
		if num < 1 || int64(num) > count || size < 128 || size > 4096 || first < 2 || first > 1<<40 {
			return Part{}
		}
		e := make([]byte, 128)
		if _, err := disk.ReadAt(e, first*sector+int64(num-1)*size); err != nil {
			return Part{}
		}
		return Part{UUID: guid(e[16:32]), Name: wide(e[56:]), Type: guid(e[:16]), NoAuto: le.Uint64(e[48:])&noAuto != 0}
	}
	mbr := make([]byte, 512)
	if _, err := disk.ReadAt(mbr, 0); err == nil && mbr[510] == 0x55 && mbr[511] == 0xaa && le.Uint32(mbr[440:]) != 0 {
		return Part{UUID: fmt.Sprintf("%08x-%02x", le.Uint32(mbr[440:]), num)}
	}
	return Part{}
}

// guid is the text of a GUID as a GPT stores it, the first three parts in
// little-endian order.
func guid(g []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(g), le.Uint16(g[4:]), le.Uint16(g[6:]), g[8:10], g[10:16])
}
