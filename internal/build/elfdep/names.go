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

// imports says which of askers a program imports. A file without its table of
// sections tells nothing, nor does one whose table makes no sense: libc's own
// services work.
func imports(f *elf.File) (n Names) {
	strtab := f.Section(".dynstr")
	if strtab == nil {
		return 0
	}
	text, err := strtab.Data()
	if err != nil {
		return 0
	}
	if mentioned(text) == 0 {
		return 0 // as nearly all, and the table of symbols is a hundred times as much work
	}
	symbols, err := f.ImportedSymbols()
	if err != nil {
		return 0
	}
	for _, s := range symbols {
		n |= askers[s.Name]
	}
	return n
}

// mentioned says which of askers a table of strings names. A name may be the end of
// a longer one, by which linkers save space.
func mentioned(text []byte) (n Names) {
	for _, start := range []string{"get", "initgroups"} {
		for rest := text; ; rest = rest[len(start):] {
			i := bytes.Index(rest, []byte(start))
			if i < 0 {
				break
			}
			rest = rest[i:]
			name, _, _ := bytes.Cut(rest, []byte{0})
			n |= askers[string(name)]
		}
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
