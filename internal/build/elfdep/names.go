package elfdep

import (
	"debug/elf"
	"fmt"
	"os"
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
		if o == nil || !slices.Contains(o.needed, "libc.so.6") {
			continue
		}
		r.mu.Lock()
		n, ok := r.asks[d.Path]
		r.mu.Unlock()
		if !ok {
			if n, err = imports(d.Source); err != nil {
				return 0, err
			}
			r.mu.Lock()
			r.asks[d.Path] = n
			r.mu.Unlock()
		}
		all |= n
	}
	return all, nil
}

// imports reads the table of dynamic symbols. A file without its table of
// sections tells nothing.
func imports(file string) (n Names, err error) {
	h, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer h.Close()
	f, err := elf.NewFile(&blocks{h, map[int64][]byte{}})
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", file, err)
	}
	symbols, err := f.ImportedSymbols()
	if err != nil {
		return 0, nil // there is no table, or it makes no sense: libc's own services work
	}
	for _, s := range symbols {
		n |= askers[s.Name]
	}
	return n, nil
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
