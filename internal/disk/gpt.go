package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"unicode/utf16"
)

// Offsets in a GPT header (UEFI 2.10, 5.3.2).
const (
	gptMagic     = "EFI PART"
	gptMinHeader = 92
	gptSize      = 12
	gptCRC       = 16
	gptMy        = 24
	gptAlternate = 32
	gptFirst     = 40
	gptLast      = 48
	gptEntries   = 72
	gptCount     = 80
	gptEntrySize = 84
	gptArrayCRC  = 88
)

// Bounds that keep a damaged header from costing memory.
const (
	gptMaxEntries = 1024
	gptMaxArray   = 512 << 10
)

var le = binary.LittleEndian

// GPT is a GUID partition table as found at the start of an image or disk.
// It is read, checked and moved here, never made.
type GPT struct {
	Sector    int   // the sector size it was made for
	Alternate int64 // sector of the backup header
	First     int64 // usable sectors
	Last      int64
	Parts     []Partition

	entries, count, entrySize int64
}

// Partition is one entry, in bytes.
type Partition struct {
	Number int
	Name   string
	Start  int64
	Size   int64
}

// ParseGPT reads the primary table from head, the first bytes of a disk. The
// header is looked for where sectors of 512 and of 4096 bytes put it. Nil
// without an error means that there is none.
func ParseGPT(head []byte) (*GPT, error) {
	for _, ss := range []int{512, 4096} {
		if len(head) >= 2*ss && string(head[ss:ss+8]) == gptMagic {
			return parseGPT(head, ss)
		}
	}
	return nil, nil
}

func parseGPT(head []byte, ss int) (*GPT, error) {
	h := head[ss : 2*ss]
	size := int(le.Uint32(h[gptSize:]))
	if size < gptMinHeader || size > ss {
		return nil, fmt.Errorf("GPT header says it is %d bytes long", size)
	}
	if crc := headerCRC(h[:size]); crc != le.Uint32(h[gptCRC:]) {
		return nil, fmt.Errorf("GPT header is damaged: checksum %08x, should be %08x", le.Uint32(h[gptCRC:]), crc)
	}
	g := &GPT{
		Sector: ss, Alternate: int64(le.Uint64(h[gptAlternate:])),
		First: int64(le.Uint64(h[gptFirst:])), Last: int64(le.Uint64(h[gptLast:])),
		entries: int64(le.Uint64(h[gptEntries:])), count: int64(le.Uint32(h[gptCount:])), entrySize: int64(le.Uint32(h[gptEntrySize:])),
	}
	if my := le.Uint64(h[gptMy:]); my != 1 {
		return nil, fmt.Errorf("GPT header says it is sector %d, it is sector 1", my)
	}
	if g.entrySize < 128 || g.entrySize%8 != 0 || g.count < 1 || g.count > gptMaxEntries || g.count*g.entrySize > gptMaxArray {
		return nil, fmt.Errorf("GPT has %d entries of %d bytes: not a table this program can move", g.count, g.entrySize)
	}
	from := g.entries * int64(ss)
	if g.entries < 2 || g.entries > int64(len(head)) || from+g.count*g.entrySize > int64(len(head)) {
		return nil, fmt.Errorf("GPT entries at sector %d are not within the first %d bytes", g.entries, len(head))
	}
	array := head[from : from+g.count*g.entrySize]
	if crc := crc32.ChecksumIEEE(array); crc != le.Uint32(h[gptArrayCRC:]) {
		return nil, fmt.Errorf("GPT entries are damaged: checksum %08x, should be %08x", crc, le.Uint32(h[gptArrayCRC:]))
	}
	const most = 1 << 50 // sectors; keeps the products below from overflowing
	if g.Alternate < 2 || g.Alternate > most || g.First < 2 || g.Last < g.First || g.Last > most {
		return nil, fmt.Errorf("GPT header is nonsense: backup at sector %d, usable sectors %d to %d", g.Alternate, g.First, g.Last)
	}
	for i := range g.count {
		e := array[i*g.entrySize:][:128]
		if bytes.Equal(e[:16], make([]byte, 16)) {
			continue
		}
		first, last := int64(le.Uint64(e[32:])), int64(le.Uint64(e[40:]))
		if first < 2 || last < first || last > most {
			return nil, fmt.Errorf("GPT partition %d is from sector %d to %d", i+1, first, last)
		}
		g.Parts = append(g.Parts, Partition{
			Number: int(i + 1), Name: utf16Name(e[56:128]),
			Start: first * int64(ss), Size: (last - first + 1) * int64(ss),
		})
	}
	return g, nil
}

func headerCRC(h []byte) uint32 {
	h = bytes.Clone(h)
	le.PutUint32(h[gptCRC:], 0)
	return crc32.ChecksumIEEE(h)
}

func utf16Name(b []byte) string {
	var u []uint16
	for i := 0; i+1 < len(b); i += 2 {
		c := le.Uint16(b[i:])
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}

// NeedSize is the smallest disk that holds the partitions and both tables.
func (g *GPT) NeedSize() int64 {
	end := g.First * int64(g.Sector)
	for _, p := range g.Parts {
		end = max(end, p.Start+p.Size)
	}
	return end + g.tailSize()
}

// tailSize is the backup: the entries in whole sectors, and the header.
func (g *GPT) tailSize() int64 {
	ss := int64(g.Sector)
	return (g.count*g.entrySize+ss-1)/ss*ss + ss
}

// Move fits the table in head to a disk of size bytes: the backup goes to
// the disk's real end, the usable space and the protective MBR grow with it.
// It returns a changed copy of head, and the backup with its place.
func (g *GPT) Move(head []byte, size int64) (newHead, tail []byte, tailOff int64, err error) {
	ss := int64(g.Sector)
	sectors := size / ss
	if need := g.NeedSize(); size < need {
		return nil, nil, 0, fmt.Errorf("the image's partitions need a disk of %d bytes, this one has %d", need, size)
	}
	newHead = bytes.Clone(head)
	n := g.tailSize()
	tailOff = (sectors * ss) - n
	h := newHead[ss : 2*ss]
	hs := h[:le.Uint32(h[gptSize:])]
	le.PutUint64(h[gptAlternate:], uint64(sectors-1))
	le.PutUint64(h[gptLast:], uint64(tailOff/ss-1))
	le.PutUint32(h[gptCRC:], headerCRC(hs))

	tail = make([]byte, n)
	copy(tail, head[g.entries*ss:][:g.count*g.entrySize])
	b := tail[n-ss:]
	copy(b, hs)
	le.PutUint64(b[gptMy:], uint64(sectors-1))
	le.PutUint64(b[gptAlternate:], 1)
	le.PutUint64(b[gptEntries:], uint64(tailOff/ss))
	le.PutUint32(b[gptCRC:], headerCRC(b[:len(hs)]))

	fitProtective(newHead, sectors)
	return newHead, tail, tailOff, nil
}
