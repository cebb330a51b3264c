package feature

var compat32 = Info{
	Name:    "compat32",
	Aliases: []string{"ia32", "multilib"},
	About:   "what 32-bit x86 programs need, also ones that are downloaded in the ramdisk: loader, libc, libstdc++; the kernel must have IA32_EMULATION",
	When:    Named,
	Needs:   []string{"base"},
	Files:   libraries32(),
	Config:  []string{"IA32_EMULATION"},
}

// libraries32 are the loader, which must be there, and libraries where
// distributions have them: Debian and Ubuntu in two places, or in lib32 of their
// 64-bit packages, others in lib.
func libraries32() []File {
	out := []File{{Path: "lib/ld-linux.so.2", Package: "libc6:i386 (or libc6-i386)"}}
	for _, dir := range []string{"lib/i386-linux-gnu", "usr/lib/i386-linux-gnu", "lib32", "usr/lib32", "lib", "usr/lib"} {
		for _, name := range []string{
			"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libresolv.so.2", "libnss_files.so.2", "libnss_dns.so.2",
			"libgcc_s.so.1", "libstdc++.so.6", "libcrypt.so.1", "libz.so.1",
		} {
			out = append(out, File{Path: dir + "/" + name, Optional: true})
		}
	}
	return out
}
