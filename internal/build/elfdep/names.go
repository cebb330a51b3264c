package elfdep

import (
	"bytes"
	"debug/elf"
	"path"
	"slices"
)

// askers are the functions of libc that ask the name services, which it loads
// by name: libnss_SERVICE.so.2 (nsswitch.conf(5)).
var askers = map[string]Names{
	"getpwnam": Users, "getpwnam_r": Users, "getpwuid": Users, "getpwuid_r": Users, "getpwent": Users, "getpwent_r": Users,
	"getgrnam": Users, "getgrnam_r": Users, "getgrgid": Users, "getgrgid_r": Users, "getgrent": Users, "getgrent_r": Users,
	"getgrouplist": Users, "initgroups": Users, "getspnam": Users, "getspnam_r": Users,
	"getaddrinfo": Hosts, "getnameinfo": Hosts, "gethostbyname": Hosts, "gethostbyname_r": Hosts, "gethostbyname2": Hosts,
	"gethostbyname2_r": Hosts, "gethostbyaddr": Hosts, "gethostbyaddr_r": Hosts,
	"getservbyname": Ports, "getservbyname_r": Ports, "getservbyport": Ports, "getservbyport_r": Ports,
	"getprotobyname": Ports, "getprotobyname_r": Ports, "getprotobynumber": Ports, "getprotobynumber_r": Ports,
}

// Names is what a program looks up.
type Names uint

const (
	Users Names = 1 << iota // and groups
	Hosts
	Ports // and protocols
)

// Asks says what the programs and libraries among deps look up in the name
// services of glibc, by the functions that they import. musl has no services.
func (r *Resolver) Asks(deps []Dep) (Names, error) {
	var all Names
	for _, d := range deps {
		if d.Link != "" {
			continue
		}
		o, err := r.object(d.Path)
		if err != nil {
			return 0, err
		}
		if o != nil {
			all |= o.asks
		}
	}
	return all, nil
}

// imports says which of askers a file imports, by its table of dynamic symbols. A
// file without a table of sections tells nothing, nor does one whose tables make no
// sense: libc's own services work.
func imports(f *elf.File) (n Names) {
	symtab := f.SectionByType(elf.SHT_DYNSYM)
	if symtab == nil || symtab.Link >= uint32(len(f.Sections)) {
		return 0
	}
	symbols, err := symtab.Data()
	if err != nil {
		return 0
	}
	text, err := f.Sections[symtab.Link].Data()
	if err != nil {
		return 0
	}
	size, info, section := elf.Sym64Size, 4, 6 // of Elf64_Sym: its bytes, st_info, st_shndx
	if f.Class == elf.ELFCLASS32 {
		size, info, section = elf.Sym32Size, 12, 14
	}
	for ; len(symbols) >= size; symbols = symbols[size:] {
		name := uint64(f.ByteOrder.Uint32(symbols))
		if f.ByteOrder.Uint16(symbols[section:]) != uint16(elf.SHN_UNDEF) || elf.ST_BIND(symbols[info]) != elf.STB_GLOBAL || name >= uint64(len(text)) {
			continue
		}
		word, _, _ := bytes.Cut(text[name:], []byte{0})
		n |= askers[string(word)]
	}
	return n
}

// NSS returns the modules of the named services as program would load them,
// with all that they need. Those that are not there are left out: since glibc
// 2.34 files and dns are built in. musl and static programs have none.
func (r *Resolver) NSS(program string, services ...string) ([]Dep, error) {
	pl, err := r.tree.resolve(program)
	if err != nil {
		return nil, notThere("", program, "", err)
	}
	o, err := r.object(pl.real)
	if err != nil || o == nil || o.shebang != "" || !slices.Contains(o.needed, "libc.so.6") {
		return nil, err
	}
	c := r.newClosure(clean(program))
	dirs := r.systemDirs(o.abi, false, o.interp)
	for _, service := range services {
		for _, d := range dirs {
			p := clean(path.Join(d, "libnss_"+service+".so.2"))
			lib, err := r.tree.resolve(p)
			if err != nil || !lib.node.mode.IsRegular() {
				continue
			}
			lo, err := r.object(lib.real)
			if err != nil || lo == nil || lo.abi != o.abi || lo.typ != elf.ET_DYN {
				continue
			}
			if err := c.program(p, "name service "+service, 0); err != nil {
				return nil, err
			}
			break
		}
	}
	return c.out, nil
}
