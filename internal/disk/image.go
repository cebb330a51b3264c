// Package disk writes system images to disks and tells what is on a disk. It
// is one streaming pass with large aligned writes; partition tables are moved
// to fit the disk, never made. It does not choose disks (package plan does)
// and makes no filesystems.
//
// The first MiB of an image is held back until everything else is on the disk
// and proved right. Until then the disk's first sector holds a Mark, so a
// deployment that was cut at any instant neither boots nor looks like
// somebody's data.
package disk

import (
	"errors"
	"fmt"
	"io"
)

// HeadSize is how much of the start of a disk is held back: all partition
// tables and boot code that firmware looks at live there.
const HeadSize = 1 << 20

// Image is what the first MiB tells about a system image.
type Image struct {
	Head []byte // at most HeadSize, less for a smaller image
	GPT  *GPT   // nil without one
	MBR  *MBR   // nil without one
	Size int64  // of the whole image, 0 if not known
}

// ReadImage reads the head of an image from r. The rest of the image stays
// in r. Size is the image's size if it is known, else 0.
func ReadImage(r io.Reader, size int64) (*Image, error) {
	head := make([]byte, HeadSize)
	n, err := readFull(r, head)
	if err == io.EOF && n == 0 {
		err = errors.New("it is empty")
	}
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read the start of the image: %w", err)
	}
	im := &Image{Head: head[:n], Size: size}
	if err == io.EOF { // all of it is here
		if size != 0 && size != int64(n) {
			return nil, fmt.Errorf("read the start of the image: it ends after %d bytes, the order says %d", n, size)
		}
		im.Size = int64(n)
	}
	if im.GPT, err = ParseGPT(im.Head); err != nil {
		return nil, fmt.Errorf("read the image's partition table: %w", err)
	}
	im.MBR = ParseMBR(im.Head)
	return im, nil
}

// Table names the image's partition table for people.
func (im *Image) Table() string {
	switch {
	case im.GPT != nil:
		return "GPT, " + partitionCount(len(im.GPT.Parts))
	case im.MBR != nil && len(im.MBR.Entries) > 0:
		return "MBR, " + partitionCount(len(im.MBR.Entries))
	}
	return "no partition table"
}

func partitionCount(n int) string {
	if n == 1 {
		return "1 partition"
	}
	return fmt.Sprintf("%d partitions", n)
}

// NeedSize is the smallest disk for the image, as far as is known.
func (im *Image) NeedSize() int64 {
	n := max(im.Size, int64(len(im.Head)))
	if im.GPT != nil {
		n = max(n, im.GPT.NeedSize())
	}
	return n
}

// Fits says why the image cannot go on a disk of size bytes with this sector
// size; nil if it can.
func (im *Image) Fits(size int64, sector int) error {
	if need := im.NeedSize(); need > size {
		return fmt.Errorf("the image needs %d bytes, the disk has %d", need, size)
	}
	if im.GPT != nil && im.GPT.Sector != sector {
		return fmt.Errorf("the image's GPT is made for sectors of %d bytes, the disk has sectors of %d: no firmware would find the partitions; build the image for %d-byte sectors", im.GPT.Sector, sector, sector)
	}
	if im.GPT == nil && im.MBR != nil && sector != 512 && im.Size > 0 && im.MBR.End()*512 <= im.Size && im.MBR.End()*int64(sector) > im.Size {
		return fmt.Errorf("the image's MBR counts in sectors of 512 bytes, the disk has sectors of %d; build the image for %d-byte sectors", sector, sector)
	}
	return nil
}

// Final is what the first bytes and the last bytes of a disk of size bytes
// will be when the image is on it. Tail is nil without a GPT.
func (im *Image) Final(size int64) (head, tail []byte, tailOff int64, err error) {
	if im.GPT == nil {
		return im.Head, nil, size, nil
	}
	return im.GPT.Move(im.Head, size)
}

// readFull reads until b is full or r ends, with r's own error: io.ReadFull
// would make a damaged source look like a short one.
func readFull(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}
