package facts

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"

	"bareroot/api"
)

// system is the SMBIOS identity as the kernel shows it.
func (g *Gatherer) system() api.System {
	dmi := func(f string) string { return g.read("/sys/class/dmi/id/" + f) }
	return api.System{
		UUID:         strings.ToLower(dmi("product_uuid")),
		Manufacturer: dmi("sys_vendor"),
		Product:      dmi("product_name"),
		Serial:       dmi("product_serial"),
		BIOSVersion:  dmi("bios_version"),
		SecureBoot:   g.secureBoot(),
	}
}

// secureBoot reads the variable: four bytes of attributes, one of value.
func (g *Gatherer) secureBoot() bool {
	b, err := os.ReadFile(g.path("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"))
	return err == nil && len(b) == 5 && b[4] == 1
}

// installed sums the memory devices of the SMBIOS tables, 0 if they say
// nothing. The tables are walked here, not by go-smbios: version 0.3.4 panics on
// a structure that is shorter than its type (firmware has such), and cuts
// the size of modules of 64 GiB and more to 16 bits.
func (g *Gatherer) installed() int64 {
	b, err := os.ReadFile(g.path("/sys/firmware/dmi/tables/DMI"))
	if err != nil {
		return 0
	}
	return memoryInstalled(b)
}

// Types and offsets of structures (DMTF DSP0134, 6.1 and 7.18).
const (
	smbiosMemoryDevice = 17
	smbiosEnd          = 127
	memorySize         = 0x0c
	memoryExtended     = 0x1c
)

func memoryInstalled(table []byte) int64 {
	var sum int64
	for len(table) >= 4 {
		kind, size := table[0], int(table[1])
		if size < 4 || size > len(table) || kind == smbiosEnd {
			break
		}
		if s := table[:size]; kind == smbiosMemoryDevice && size >= memorySize+2 {
			switch n := int64(binary.LittleEndian.Uint16(s[memorySize:])); {
			case n == 0 || n == 0xffff: // no module, or unknown
			case n == 0x7fff: // 32 GiB and more: MiB in the extended field
				if size >= memoryExtended+4 {
					sum += int64(binary.LittleEndian.Uint32(s[memoryExtended:])&0x7fffffff) << 20
				}
			case n&0x8000 != 0: // KiB
				sum += n & 0x7fff << 10
			default:
				sum += n << 20
			}
		}
		// Strings follow, and end with two zero bytes.
		end := bytes.Index(table[size:], []byte{0, 0})
		if end < 0 {
			break
		}
		table = table[size+end+2:]
	}
	return sum
}
