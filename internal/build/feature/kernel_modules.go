package feature

var kernelModules = Info{
	Name:    "kernel-modules",
	Aliases: []string{"kernel-modules-extra", "drivers", "btrfs", "qemu", "qemu-net", "virtiofs", "nvdimm", "hwdb"},
	About:   "the generic set of kernel modules: storage, wired network, filesystems, keyboards, virtual machines",
	When:    Default,
	Generic: true,
}
