package assemble

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
)

// hasTokens reads the header of LUKS version 2 (its on-disk format, chapter 2):
// 4096 bytes, then JSON.
func hasTokens(r io.ReaderAt) bool {
	h := make([]byte, 4096)
	if _, err := r.ReadAt(h, 0); err != nil || string(h[:6]) != "LUKS\xba\xbe" || binary.BigEndian.Uint16(h[6:]) != 2 {
		return false
	}
	size := binary.BigEndian.Uint64(h[8:])
	if size <= 4096 || size > 4<<20 {
		return false
	}
	area := make([]byte, size-4096)
	if _, err := r.ReadAt(area, 4096); err != nil {
		return false
	}
	area, _, _ = bytes.Cut(area, []byte{0})
	var meta struct {
		Tokens map[string]json.RawMessage `json:"tokens"`
	}
	return json.Unmarshal(area, &meta) == nil && len(meta.Tokens) > 0
}
