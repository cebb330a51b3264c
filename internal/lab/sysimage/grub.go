package sysimage

import (
	"encoding/binary"
	"fmt"
)

const sector = 512

// bootSector is GRUB's boot.img made to load core.img from sector core of
// the disk, as grub-bios-setup would write it. The result is the 440 bytes
// in front of the partition table.
func bootSector(bootImg []byte, core uint64) ([]byte, error) {
	if len(bootImg) != sector {
		return nil, fmt.Errorf("boot.img has %d bytes, expected %d", len(bootImg), sector)
	}
	b := append([]byte(nil), bootImg[:440]...)
	binary.LittleEndian.PutUint64(b[0x5c:], core)
	// Two no-ops over the jump that keeps the drive number the BIOS gave.
	b[0x66], b[0x67] = 0x90, 0x90
	return b, nil
}

// coreImage is GRUB's core.img with the list of its own blocks: all in one
// piece from sector core of the disk, loaded at segment 0x820.
func coreImage(img []byte, core uint64, room int) ([]byte, error) {
	n := (len(img) + sector - 1) / sector
	if n < 2 || n > room {
		return nil, fmt.Errorf("core.img has %d sectors, room is for %d", n, room)
	}
	b := make([]byte, n*sector)
	copy(b, img)
	binary.LittleEndian.PutUint64(b[500:], core+1)
	binary.LittleEndian.PutUint16(b[508:], uint16(n-1))
	binary.LittleEndian.PutUint16(b[510:], 0x820)
	return b, nil
}
