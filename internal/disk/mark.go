package disk

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// markMagic starts the first sector of a disk while it is being written.
const markMagic = "bareroot: unfinished deployment\n"

// Mark is what stands in a disk's first sector from the first write of a
// deployment until its last. It has no boot signature, so no firmware starts
// the disk; and it says that what is on the disk is nobody's data any more.
type Mark struct {
	Order   string `json:"order"`
	Attempt int    `json:"attempt"`
	Image   string `json:"image"` // sha256 as ordered
}

func (m Mark) sector(size int) ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if len(markMagic)+len(b) > mbrEntries {
		return nil, fmt.Errorf("mark the disk: order id %.40q is too long", m.Order)
	}
	s := make([]byte, size)
	copy(s, markMagic)
	copy(s[len(markMagic):], b)
	return s, nil
}

// ParseMark finds a Mark in a disk's first bytes; nil if there is none.
func ParseMark(head []byte) *Mark {
	b, ok := bytes.CutPrefix(head[:min(len(head), mbrEntries)], []byte(markMagic))
	if !ok {
		return nil
	}
	var m Mark
	if err := json.Unmarshal(bytes.TrimRight(b, "\x00"), &m); err != nil {
		return nil
	}
	return &m
}
