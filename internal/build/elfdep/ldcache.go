package elfdep

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"path"
	"slices"
	"strings"
)

// LoaderCache is an /etc/ld.so.cache for what Closure and NSS returned, or nil if
// no library of glibc is among it. Without one the loader looks into the folders
// that it was built with and no others: a library from a folder of ld.so.conf
// would be in the ramdisk and not be found.
//
// The format is that of glibc 2.2 and later ("1.1"), see ld.so(8); musl has none.
func (r *Resolver) LoaderCache(deps []Dep) []byte {
	type entry struct {
		name, path string
		flags      uint32
		dir        int // place in the order of search
	}
	var list []entry
	seen := map[string]bool{}
	order := elf.ELFDATANONE
	for _, d := range deps {
		if seen[d.Path] || !strings.Contains(path.Base(d.Path), ".so") {
			continue
		}
		seen[d.Path] = true
		pl, err := r.tree.resolve(d.Path)
		if err != nil || !pl.node.mode.IsRegular() {
			continue
		}
		o, err := r.object(pl.real)
		if err != nil || o == nil || o.typ != elf.ET_DYN {
			continue
		}
		flags, ok := cacheFlags(o.abi)
		dir := slices.Index(r.systemDirs(o.abi, false, ""), "/"+path.Dir(d.Path))
		if !ok || dir < 0 || order != elf.ELFDATANONE && order != o.abi.data {
			continue
		}
		order = o.abi.data
		list = append(list, entry{path.Base(d.Path), "/" + d.Path, flags, dir})
	}
	if list == nil {
		return nil
	}
	slices.SortFunc(list, func(a, b entry) int {
		return cmp.Or(compareNames(b.name, a.name), cmp.Compare(b.flags, a.flags), cmp.Compare(a.dir, b.dir), cmp.Compare(a.path, b.path))
	})

	const headerLen, entryLen = 48, 24
	var strs []byte
	str := func(s string) uint32 {
		at := headerLen + entryLen*len(list) + len(strs)
		strs = append(append(strs, s...), 0)
		return uint32(at)
	}
	bo := binary.AppendByteOrder(binary.LittleEndian)
	endian := byte(2)
	if order == elf.ELFDATA2MSB {
		bo, endian = binary.BigEndian, 3
	}
	var entries []byte
	for _, e := range list {
		entries = bo.AppendUint32(entries, e.flags)
		entries = bo.AppendUint32(entries, str(e.name))
		entries = bo.AppendUint32(entries, str(e.path))
		entries = append(entries, make([]byte, 12)...) // kernel version, hwcap
	}
	out := append([]byte(nil), "glibc-ld.so.cache1.1"...)
	out = bo.AppendUint32(out, uint32(len(list)))
	out = bo.AppendUint32(out, uint32(len(strs)))
	out = append(out, endian)
	out = append(out, make([]byte, headerLen-len(out))...)
	return slices.Concat(out, entries, strs)
}

// cacheFlags are what the loader of that ABI wants of an entry: 3 is a library
// of glibc, the rest tells apart what can run on one machine.
func cacheFlags(a abi) (uint32, bool) {
	wide := a.class == elf.ELFCLASS64
	switch {
	case a.machine == elf.EM_X86_64 && wide:
		return 0x0303, true
	case a.machine == elf.EM_X86_64:
		return 0x0803, true
	case a.machine == elf.EM_AARCH64 && wide:
		return 0x0a03, true
	case a.machine == elf.EM_S390 && wide:
		return 0x0403, true
	case a.machine == elf.EM_PPC64:
		return 0x0503, true
	case a.machine == elf.EM_RISCV && wide:
		return 0x1003, true
	case a.machine == elf.EM_386, a.machine == elf.EM_PPC:
		return 0x0003, true
	}
	return 0, false // of 32-bit ARM and MIPS there are several kinds
}

// compareNames orders names as the loader's binary search wants them: numbers
// by their value, and after other characters.
func compareNames(a, b string) int {
	digit := func(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
	number := func(s string) (value int32, rest string) {
		for ; digit(s); s = s[1:] {
			value = value*10 + int32(s[0]-'0')
		}
		return value, s
	}
	for a != "" && b != "" {
		switch {
		case digit(a) && digit(b):
			var x, y int32
			x, a = number(a)
			y, b = number(b)
			if x != y {
				return cmp.Compare(x, y)
			}
		case digit(a):
			return 1
		case digit(b):
			return -1
		case a[0] != b[0]:
			return cmp.Compare(a[0], b[0])
		default:
			a, b = a[1:], b[1:]
		}
	}
	return cmp.Compare(len(a), len(b))
}
