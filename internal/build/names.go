package build

import (
	"fmt"

	"bareroot/internal/build/elfdep"
)

// nsswitch lets libc look where a ramdisk has names: in files, and hosts in DNS
// too. Without it older libcs ask NIS.
const nsswitch = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\nethers: files\nrpc: files\n"

// nameServices adds what the installed programs look up names with: libc loads
// its services by name, so no closure has them. What the sysroot asks beyond
// files and DNS (systemd, sssd, LDAP) does not run in a ramdisk.
func (f *files) nameServices() error {
	var all elfdep.Names
	for _, a := range f.asking {
		services := []string{"files"}
		if a.names&elfdep.Hosts != 0 {
			services = append(services, "dns")
		}
		deps, err := f.r.resolver.NSS(a.path, services...)
		if err != nil {
			return inputError{fmt.Errorf("install %s: %w", a.path, err)}
		}
		f.deps = append(f.deps, deps...)
		for _, d := range deps {
			why := d.Why
			if why == "" {
				why = "name service of " + a.path
			}
			if err := f.dep(d, why); err != nil {
				return err
			}
		}
		all |= a.names
	}
	if all != 0 {
		f.put(file("etc/nsswitch.conf", 0o644, nsswitch, "where programs look up names"))
	}
	if all&elfdep.Ports == 0 {
		return nil
	}
	for _, name := range []string{"/etc/services", "/etc/protocols"} {
		if _, err := f.program(name, "names of ports and protocols"); err != nil { // that there is none is as in the sysroot
			return err
		}
	}
	return nil
}
