package disk

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/siderolabs/go-blockdevice/v2/blkid"

	"bareroot/api"
)

// Info is a disk as it was found: its facts, and what matters for writing.
type Info struct {
	api.Disk
	InUse string // why it must not be written ("/boot is mounted from it"), "" if free
	Mark  *Mark  // of a deployment that was not finished; then Content is nobody's data
	Head  []byte // the first HeadSize bytes; nil if they cannot be read
}

// Content lists what is on the disk or image path, for people; nothing
// means that there is no sign of data. mark is set if it holds an unfinished
// deployment.
func Content(path string, size int64) (found []string, head []byte, mark *Mark, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("look at %s: %w", path, err)
	}
	defer f.Close()
	head = make([]byte, min(size, HeadSize))
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, nil, nil, fmt.Errorf("look at %s: %w", path, err)
	}
	if m := ParseMark(head); m != nil {
		return []string{fmt.Sprintf("unfinished deployment of order %s", m.Order)}, head, m, nil
	}
	found = tables(head)
	found = append(found, signatures(f)...)
	if len(found) > 0 {
		return found, head, nil, nil
	}
	tail := make([]byte, min(size, HeadSize))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return nil, nil, nil, fmt.Errorf("look at the end of %s: %w", path, err)
	}
	if !allZero(head) {
		found = append(found, "unknown data in the first MiB")
	}
	if !allZero(tail) {
		found = append(found, "unknown data in the last MiB")
	}
	return found, head, nil, nil
}

// tables names partition tables, also damaged ones.
func tables(head []byte) []string {
	g, err := ParseGPT(head)
	switch {
	case err != nil:
		return []string{"damaged GPT partition table"}
	case g != nil:
		return []string{"GPT partition table, " + partitionCount(len(g.Parts))}
	}
	if m := ParseMBR(head); m != nil && len(m.Entries) > 0 {
		return []string{"MBR partition table, " + partitionCount(len(m.Entries))}
	}
	return nil
}

// signatures names filesystems and volume managers on the whole disk and on
// its GPT partitions. A disk too small or too odd to be probed has none; its
// bytes are still looked at by Content.
func signatures(f *os.File) []string {
	info, err := blkid.Probe(f, blkid.WithSkipLocking(true))
	if err != nil {
		return nil
	}
	var out []string
	if info.Name != "" && info.Name != "gpt" {
		out = append(out, named(info.Name, info.Label))
	}
	for _, p := range info.Parts {
		if p.Name != "" {
			out = append(out, fmt.Sprintf("%s on partition %d", named(p.Name, p.Label), p.PartitionIndex))
		}
	}
	return out
}

func named(name string, label *string) string {
	if label != nil && *label != "" {
		return fmt.Sprintf("%s (label %s)", name, strings.ToValidUTF8(*label, "?"))
	}
	return name
}

func allZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		if !bytes.Equal(b[:n], zeros[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}
