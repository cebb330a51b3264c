// Package feature holds what a ramdisk can be asked to do, as data: each
// feature lists its programs, kernel modules, files, the features it needs and
// the kernel options it depends on. One file a feature, one line in All.
//
// It reads nothing and installs nothing: the builder does.
package feature

// When says whether a feature is in without being asked for.
type When string

const (
	Always   When = "always"   // cannot be left out
	Default  When = "default"  // in, unless it is omitted or cannot be had
	Named    When = "named"    // only if asked for, or needed by another
	Hostonly When = "hostonly" // in if this machine's root needs it
)

// Info is a feature, or what a person sees of it.
type Info struct {
	Name    string
	Aliases []string // dracut's names and others in use
	About   string
	When    When

	Needs    []string // other features
	Binaries []Binary
	// Modules are kernel modules by name or group ("=fs/nfs"). One that this
	// kernel does not have is left out; Required ones are an error unless built in.
	Modules  []string
	Required []string
	Files    []File
	Config   []string // kernel options that must be set, CONFIG_ left out
	Cmdline  []string // words added to the command line
	Users    []string // that its programs run as, taken from the sysroot's etc/passwd

	Role      string // the role that the ramdisk gets by it
	Generic   bool   // it stands for the generic set of kernel modules
	Busybox   bool   // it stands for busybox and its applets
	Microcode bool   // it stands for the microcode segment
	Agent     bool   // it is a part of bareroot-agent
	FIPS      bool   // .hmac files are checked and taken along, and Modules are what init loads and tests first
}

// Binary is a program of the sysroot.
type Binary struct {
	Name     string
	Package  string // Debian's, for the person who misses it
	Optional bool
}

// File is a file or folder of the sysroot; a pattern may have *.
type File struct {
	Path     string
	Package  string
	Optional bool
}
