package elfdep

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
)

// noteDlopen is the type of the notes of owner "FDO" that say which libraries
// are opened by name.
const noteDlopen = 0x407c0c0a

// opened is one thing that a file opens by name.
type opened struct {
	Sonames  []string `json:"soname"` // the first that is there will do
	Feature  string   `json:"feature"`
	Priority string   `json:"priority"` // required, recommended (as is "") or suggested
}

// parseNotes reads a segment of ELF notes and returns what is to be opened. What
// makes no sense is passed over: a damaged note does not keep a program from
// running.
func parseNotes(b []byte, order binary.ByteOrder, align uint64) []opened {
	var out []opened
	pad := 4
	if align == 8 {
		pad = 8
	}
	up := func(n int) int { return (n + pad - 1) &^ (pad - 1) }
	for len(b) >= 12 {
		nameLen, descLen, typ := order.Uint32(b), order.Uint32(b[4:]), order.Uint32(b[8:])
		if uint64(nameLen)+uint64(descLen) > uint64(len(b)-12) {
			break
		}
		desc := up(12 + int(nameLen))
		end := desc + int(descLen)
		if end > len(b) {
			break
		}
		if typ == noteDlopen && string(b[12:12+nameLen]) == "FDO\x00" {
			out = append(out, parseDlopen(b[desc:end])...)
		}
		b = b[min(up(end), len(b)):]
	}
	return out
}

// parseDlopen reads the JSON of one note.
func parseDlopen(text []byte) []opened {
	var list []opened
	if json.Unmarshal(bytes.TrimRight(text, "\x00"), &list) != nil {
		return nil
	}
	var out []opened
	for _, o := range list {
		if len(o.Sonames) > 0 && len(o.Sonames) <= maxNames {
			out = append(out, o)
		}
	}
	return out
}
