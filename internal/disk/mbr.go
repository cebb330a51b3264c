package disk

// Offsets in a master boot record.
const (
	mbrEntries    = 446
	mbrSignature  = 510
	mbrProtective = 0xee
)

// MBR is a classic partition table. Its sectors have no stated size.
type MBR struct {
	Entries []MBREntry // primary partitions in use
}

// MBREntry is a primary partition, in sectors.
type MBREntry struct {
	Number       int
	Type         byte
	Start, Count int64
}

// ParseMBR reads the table from the first sector; nil if there is none. The
// boot sector of a FAT or NTFS filesystem ends in the same two bytes, so
// entries that cannot be ones make it no table.
func ParseMBR(head []byte) *MBR {
	if len(head) < 512 || head[mbrSignature] != 0x55 || head[mbrSignature+1] != 0xaa {
		return nil
	}
	m := &MBR{}
	for i := range 4 {
		e := head[mbrEntries+16*i:][:16]
		if e[0] != 0 && e[0] != 0x80 {
			return nil
		}
		if e[4] == 0 {
			continue
		}
		p := MBREntry{Number: i + 1, Type: e[4], Start: int64(le.Uint32(e[8:])), Count: int64(le.Uint32(e[12:]))}
		if p.Start == 0 || p.Count == 0 {
			return nil
		}
		m.Entries = append(m.Entries, p)
	}
	return m
}

// Protective reports whether the table only guards a GPT.
func (m *MBR) Protective() bool {
	for _, e := range m.Entries {
		if e.Type == mbrProtective {
			return true
		}
	}
	return false
}

// End is the first sector after all partitions.
func (m *MBR) End() int64 {
	var end int64
	for _, e := range m.Entries {
		end = max(end, e.Start+e.Count)
	}
	return end
}

// fitProtective makes the protective partition reach the disk's end. The
// other entries of a hybrid table stay.
func fitProtective(head []byte, sectors int64) {
	m := ParseMBR(head)
	if m == nil {
		return
	}
	for _, p := range m.Entries {
		if p.Type != mbrProtective || p.Start != 1 {
			continue
		}
		e := head[mbrEntries+16*(p.Number-1):][:16]
		copy(e[5:8], []byte{0xff, 0xff, 0xff}) // last CHS address: out of its range
		le.PutUint32(e[12:], uint32(min(sectors-1, 0xffffffff)))
	}
}
