package dracut

import "path/filepath"

// other is a module that a package other than dracut brings and that is known
// here. Its shell is not run: what it comes down to is said instead.
type other struct {
	Name        string
	NN          int
	GenericOnly bool // it refuses images of one machine
	Features    []string
	Programs    []string
	Here        string
}

// otherModules are those that installation images of Red Hat are made with.
func otherModules() []other {
	return []other{
		{Name: "anaconda", NN: 80, GenericOnly: true, Features: []string{"livenet", "nfs", "url"},
			Programs: []string{"ping", "eject", "depmod", "modinfo", "blkid", "mount", "umount", "cp", "mkdir", "rmdir",
				"/usr/libexec/anaconda/dd_list", "/usr/libexec/anaconda/dd_extract"},
			Here: "the network, live roots and its programs are in; its hooks are not run, so that inst.* words have no effect: name its install.img with root=live:URL"},
		{Name: "prefixdevname", NN: 71, Here: "nothing to add: network cards keep the kernel's names"},
		{Name: "prefixdevname-tools", NN: 71, Programs: []string{"/usr/lib/udev/prefixdevname", "/usr/lib/udev/rules.d/71-prefixdevname.rules"},
			Here: "its program and rule are in, and no udev runs them in the ramdisk"},
	}
}

// other finds a module by name if it is known and, as for dracut, installed.
func (w *wanted) other(name string) (other, bool) {
	for _, o := range otherModules() {
		if o.Name != name {
			continue
		}
		found, err := filepath.Glob(filepath.Join(w.Root, "/usr/lib/dracut/modules.d/[0-9][0-9]"+name))
		return o, err == nil && len(found) > 0
	}
	return other{}, false
}
