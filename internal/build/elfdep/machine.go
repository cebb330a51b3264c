package elfdep

import "debug/elf"

// machine is what the names of folders depend on.
type machine struct {
	triplets  []string // of Debian's multiarch folders
	platforms []string // what $PLATFORM may be
	bits64    bool
}

// machineOf knows the machines that distributions are made for. Of any other,
// lib64 or lib is searched.
func machineOf(a abi) machine {
	m := machine{bits64: a.class == elf.ELFCLASS64}
	little := a.data == elf.ELFDATA2LSB
	switch a.machine {
	case elf.EM_X86_64:
		m.triplets = []string{"x86_64-linux-gnu", "x86_64-linux-musl"}
		m.platforms = []string{"x86_64", "haswell", "xeon_phi"}
		if !m.bits64 {
			m.triplets = []string{"x86_64-linux-gnux32"}
		}
	case elf.EM_386:
		m.triplets = []string{"i386-linux-gnu", "i386-linux-musl"}
		m.platforms = []string{"i686", "i586", "i486", "i386"}
	case elf.EM_AARCH64:
		m.triplets = []string{"aarch64-linux-gnu", "aarch64-linux-musl"}
		m.platforms = []string{"aarch64"}
	case elf.EM_ARM:
		m.triplets = []string{"arm-linux-gnueabihf", "arm-linux-gnueabi", "arm-linux-musleabihf"}
		m.platforms = []string{"v8l", "v7l", "v6l", "v5l"}
	case elf.EM_PPC64:
		m.triplets = []string{"powerpc64-linux-gnu"}
		if little {
			m.triplets = []string{"powerpc64le-linux-gnu"}
		}
		m.platforms = []string{"power10", "power9", "power8"}
	case elf.EM_PPC:
		m.triplets = []string{"powerpc-linux-gnu"}
	case elf.EM_S390:
		m.triplets = []string{"s390x-linux-gnu"}
		m.platforms = []string{"z16", "z15", "z14", "z13"}
	case elf.EM_RISCV:
		m.triplets = []string{"riscv64-linux-gnu"}
	case elf.EM_LOONGARCH:
		m.triplets = []string{"loongarch64-linux-gnu"}
	case elf.EM_MIPS:
		m.triplets = []string{"mips-linux-gnu"}
		switch {
		case m.bits64 && little:
			m.triplets = []string{"mips64el-linux-gnuabi64"}
		case little:
			m.triplets = []string{"mipsel-linux-gnu"}
		}
	}
	return m
}

// libNames are the folders that may be meant by $LIB, the likeliest first.
func (m machine) libNames() []string {
	var out []string
	for _, t := range m.triplets {
		out = append(out, "lib/"+t)
	}
	if m.bits64 {
		return append(out, "lib64", "lib")
	}
	return append(out, "lib32", "lib", "libx32")
}

// defaultDirs are those that the loaders of distributions are built with.
func (m machine) defaultDirs() []string {
	var out []string
	for _, l := range m.libNames() {
		out = append(out, l, "usr/"+l)
	}
	return out
}
