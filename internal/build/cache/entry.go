package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"bareroot/internal/sys"
)

// A unit's file, numbers little-endian:
//
//	 0  8 bytes   magic
//	 8 32 bytes   the key's id
//	40  8 bytes   length of the data
//	48  8 bytes   xxh64 of the data
//	56  8 bytes   xxh64 of the 56 bytes before
//	64            the data
const (
	magic         = "brcache1"
	headerSize    = 64
	formatVersion = 2 // in every id: another version finds nothing of this one
	tmpPrefix     = "tmp-"
)

// errDamaged: the file is not what was written.
var errDamaged = errors.New("damaged")

func header(id [32]byte, data []byte) []byte {
	b := append(make([]byte, 0, headerSize), magic...)
	b = append(b, id[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data)))
	b = binary.LittleEndian.AppendUint64(b, sum64(data))
	return binary.LittleEndian.AppendUint64(b, sum64(b))
}

func writeEntry(w io.Writer, id [32]byte, data []byte) error {
	if _, err := w.Write(header(id, data)); err != nil {
		return err
	}
	_, err := sys.InPieces(w).Write(data)
	return err
}

// openRegular opens a file of the store, which is no link and has least bytes.
func openRegular(path string, least int64) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err == nil && (!fi.Mode().IsRegular() || fi.Size() < least) {
		err = fmt.Errorf("%s: %w: no unit", path, errDamaged)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, fi, nil
}

// readEntry returns the data of the unit and its last use.
func readEntry(path string, id [32]byte) ([]byte, time.Time, error) {
	f, fi, err := openRegular(path, headerSize)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	b := make([]byte, fi.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, time.Time{}, fmt.Errorf("read %s: %w", path, err)
	}
	data := b[headerSize:]
	// The whole header is known: from the key, and from the data that follow.
	if string(header(id, data)) != string(b[:headerSize]) {
		return nil, time.Time{}, fmt.Errorf("%s: %w: its hash is not that of its bytes", path, errDamaged)
	}
	return data, fi.ModTime(), nil
}
