package disk

import (
	"bytes"
	"fmt"
)

// Finish makes the disk what the image is: call it only when the whole image
// is on the disk and its hash was right. The backup table goes first and the
// first sector last, each after a flush, so that at any instant the disk is
// either marked as unfinished or complete. It reports whether the kernel has
// read the new table.
func (w *Writer) Finish() (reread bool, err error) {
	d := w.Dev
	head, tail, tailOff, err := w.Image.Final(d.Size)
	if err != nil {
		return false, err
	}
	if err := d.Sync(); err != nil {
		return false, err
	}
	if err := d.writeCopy(tail, tailOff); err != nil {
		return false, fmt.Errorf("write the backup partition table: %w", err)
	}
	first := min(d.Sector, len(head))
	if err := d.writeCopy(head[first:], int64(first)); err != nil {
		return false, fmt.Errorf("write the partition table: %w", err)
	}
	if err := d.Sync(); err != nil {
		return false, err
	}
	if err := d.writeCopy(head[:first], 0); err != nil {
		return false, fmt.Errorf("write the first sector: %w", err)
	}
	if err := d.Sync(); err != nil {
		return false, err
	}
	w.written.Add(int64(len(head) + len(tail)))
	for _, c := range []struct {
		want []byte
		off  int64
	}{{head, 0}, {tail, tailOff}} {
		if len(c.want) == 0 {
			continue
		}
		got, err := d.readCopy(len(c.want), c.off)
		if err != nil {
			return false, err
		}
		if !bytes.Equal(got, c.want) {
			return false, fmt.Errorf("read back %d bytes at %d of %s: they are not what was written; the disk is broken", len(c.want), c.off, d.Path)
		}
	}
	return d.Reread()
}
