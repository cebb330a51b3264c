package feature

var base = Info{
	Name:    "base",
	Aliases: []string{"udev-rules", "rootfs-block", "fs-lib", "usrmount", "initqueue", "shutdown", "img-lib", "fstab-sys", "base-init"},
	About:   "bareroot-init, the folders and the files that every ramdisk has; device nodes and links come from init, there is no udev",
	When:    Always,
	Config:  []string{"BLK_DEV_INITRD", "DEVTMPFS", "PROC_FS", "SYSFS", "TMPFS", "BINFMT_ELF"},
}
