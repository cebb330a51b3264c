package facts

import (
	"bytes"
	"os"
	"strings"

	"github.com/siderolabs/go-smbios/smbios"

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
// nothing.
func (g *Gatherer) installed() int64 {
	b, err := os.ReadFile(g.path("/sys/firmware/dmi/tables/DMI"))
	if err != nil {
		return 0
	}
	entry, _ := os.ReadFile(g.path("/sys/firmware/dmi/tables/smbios_entry_point"))
	return memoryInstalled(b, entry)
}

func memoryInstalled(table, entry []byte) int64 {
	v := smbios.Version{Major: 2, Minor: 8}
	switch {
	case bytes.HasPrefix(entry, []byte("_SM3_")) && len(entry) > 9:
		v = smbios.Version{Major: int(entry[7]), Minor: int(entry[8]), Revision: int(entry[9])}
	case bytes.HasPrefix(entry, []byte("_SM_")) && len(entry) > 7:
		v = smbios.Version{Major: int(entry[6]), Minor: int(entry[7])}
	}
	s, err := smbios.Decode(bytes.NewReader(table), v)
	if err != nil {
		return 0
	}
	var sum int64
	for _, d := range s.Structures {
		if d.Header.Type != 17 { // memory device
			continue
		}
		switch n := smbios.GetWord(d, 0x0c); {
		case n == 0 || n == 0xffff: // no module, or unknown
		case n == 0x7fff: // 32 GiB and more: in the extended field, which the library cuts to 16 bits
			sum += int64(smbios.GetDWord(d, 0x1c)&0x7fffffff) << 20
		case n&0x8000 != 0: // KiB
			sum += int64(n&0x7fff) << 10
		default:
			sum += int64(n) << 20
		}
	}
	return sum
}
