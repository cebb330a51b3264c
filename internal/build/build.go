// Package build makes a boot set or a ramdisk: recipe -> segments -> files.
//
// The recipe is pure data: what the ramdisk will hold, where from, and why
// (recipe.go). Segments are newc archives (segment.go), written in order while
// a worker per core reads, checks and compresses the modules, each by itself.
// Outputs appear whole or not at all (output.go).
//
// It starts no process, reads nothing but the inputs it is told, and the same
// inputs give the same bytes whatever the folder, the time or the number of
// cores. It does not serve, boot or run what it makes.
package build

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"bareroot/internal/bootset"
	"bareroot/internal/build/cache"
	"bareroot/internal/build/feature"
)

// Roles that a ramdisk can be built for, the most specific first: the first one
// asked for is what the ramdisk does unless the server says otherwise.
var roleOrder = [...]string{"discover", "deploy", "rescue", "root"}

// Options are the inputs of a build. Empty paths have the defaults that
// bareroot build documents, all below Sysroot.
type Options struct {
	Sysroot     string // "/" if empty
	Kver        string // the only or newest one if empty
	Kernel      string
	ModulesDir  string   // holds a folder per kernel version
	FirmwareDir string   // or several, colons between them
	Roles       []string // root if empty
	Cmdline     string
	Init        string
	Agent       string // needed with a role other than root
	Busybox     string
	BuildID     string // that init and agent must carry

	Hostonly     bool
	HostonlyMode string // "sloppy" if empty, or "strict"
	HostRoot     string // where sys, proc and etc of the host are; "/" if empty
	// NoHostCmdline leaves the words out that find this machine's root.
	NoHostCmdline bool

	// Features by name or alias. If Features is not empty, exactly these and
	// what they need; otherwise the defaults and AddFeatures. ForceFeatures are
	// AddFeatures that are not judged by the host and win over OmitFeatures.
	Features, AddFeatures, ForceFeatures, OmitFeatures []string

	// Kernel modules by name, or folders of them ("=drivers/net/ethernet"). If
	// Drivers is not empty, only these and what they need.
	Drivers, AddDrivers, ForceDrivers, OmitDrivers, Filesystems []string

	Install         []string // programs found in the usual folders below Sysroot, or paths
	InstallOptional []string
	Include         []Include
	Hooks           []Hook
	Extra           []ExtraFile
	Remove          []string // patterns of paths that are taken out again at the end
	Tools           string   // "busybox" if empty, or "distro"
	Firmware        []string // "needed" if empty, "all", "none", or patterns
	OmitFirmware    []string
	Microcode       bool

	Compress      string // "zstd" if empty, xz, gzip, lz4, none, best
	CompressLevel int    // 0: the compression's default
	NoKernel      bool   // no kernel modules and no firmware
	KernelOnly    bool   // kernel modules and firmware only
	SizeBudget    int64  // bytes that the ramdisk may have; 0 for any
	// TwoParts lays the ramdisk out as dracut and mkinitramfs do, for their tools:
	// a plain archive, then one that is compressed. Its result need not have
	// hashes: there is no manifest to hold them.
	TwoParts bool
	// GoOn leaves out what Install, Include and the lists of modules name and
	// what is not there, as dracut does; Result.LeftOut says what. Otherwise it
	// is an error.
	GoOn bool

	Cache *cache.Cache // of finished work; nil for none

	kernelArch string // of the kernel that was found; "" if it does not tell

	ModTime  time.Time // of every file in the ramdisk
	Jobs     int       // workers; one a core if 0
	Progress func(Progress)
}

// Include copies a file or the content of a folder into the ramdisk.
type Include struct{ Src, Dst string }

// Hook is a program that init runs at a stage of the boot.
type Hook struct{ Stage, File string }

// ExtraFile is a file of the ramdisk with given content.
type ExtraFile struct {
	Path string // without leading slash
	Mode uint32
	Data []byte
	Why  string

	// OfFeatures makes the content of the names of the features that are in.
	OfFeatures func(names []string) []byte
}

// Progress tells how far a build is.
type Progress struct {
	Segment     string
	Done, Total int // files
}

// Result is what was built.
type Result struct {
	Manifest *bootset.Manifest `json:"manifest"`
	Output   string            `json:"output"`
	Size     int64             `json:"size"` // of the ramdisk, without the kernel
	Segments []SegmentResult   `json:"segments"`
	Modules  int               `json:"modules"`
	Features []string          `json:"features"`
	// MissingFirmware are files that chosen modules name and that FirmwareDir
	// does not have.
	MissingFirmware []string `json:"missing_firmware"`
	LeftOut         []string `json:"left_out,omitempty"` // sentences; only with GoOn
	Notices         []string `json:"notices"`
	Seconds         float64  `json:"seconds"`
}

// SegmentResult is one line of the summary. Segments are made side by side, so
// their times do not add up to the whole.
type SegmentResult struct {
	Kind    string  `json:"kind"`
	File    string  `json:"file"`
	Files   int     `json:"files"`
	Raw     int64   `json:"raw"` // bytes of the files in it
	Size    int64   `json:"size"`
	Cached  bool    `json:"cached,omitempty"` // taken from the cache whole
	Seconds float64 `json:"seconds"`
}

// Dir builds a boot set into the folder dir.
func Dir(ctx context.Context, o Options, dir string, force bool) (*Result, error) {
	return run(ctx, o, &dirOutput{path: dir, force: force})
}

// File builds one ramdisk, all segments joined, into the file path.
func File(ctx context.Context, o Options, path string, force bool) (*Result, error) {
	return run(ctx, o, &fileOutput{path: path, force: force})
}

func run(ctx context.Context, o Options, out output) (*Result, error) {
	start := time.Now()
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := out.check(); err != nil {
		return nil, err
	}
	r, err := newRecipe(ctx, &o, out.wantsKernel())
	if err != nil {
		return nil, err
	}
	if o.TwoParts {
		r.twoParts(&o)
	}
	work, err := out.begin(o.Cache)
	if err != nil {
		return nil, err
	}
	defer out.abort()
	res, files, keep, err := assemble(ctx, &o, r, work)
	if err == nil {
		err = o.checkBudget(res, files)
	}
	if err == nil && out.wantsKernel() {
		_, err = o.addOwners(files) // that there is no database is for those who ask why
	}
	if err == nil {
		err = out.finish(res, files, keep)
	}
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", out.name(), err)
	}
	res.Notices = append(res.Notices, r.exposed(out)...)
	if n := o.Cache.Notice(); n != "" {
		res.Notices = append(res.Notices, n)
	}
	res.Seconds = time.Since(start).Seconds()
	return res, nil
}

func (o *Options) complete() error {
	var err error
	if o.Roles, err = rolesOf(o); err != nil {
		return err
	}
	if len(o.Roles) == 0 {
		o.Roles = []string{"root"}
	}
	for _, r := range o.Roles {
		if !slices.Contains(roleOrder[:], r) {
			return inputError{fmt.Errorf("role %q: roles are root, discover, deploy and rescue", r)}
		}
	}
	o.Roles = slices.Compact(slices.Sorted(slices.Values(o.Roles)))
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.Sysroot == "" {
		o.Sysroot = "/"
	}
	if o.HostRoot == "" {
		o.HostRoot = "/"
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return nil
}

// mainRole is what the ramdisk does by itself.
func (o *Options) mainRole() string {
	for _, r := range roleOrder {
		if slices.Contains(o.Roles, r) {
			return r
		}
	}
	return "root"
}

// needsAgent: every role but root is the agent's.
func (o *Options) needsAgent() bool {
	return slices.ContainsFunc(o.Roles, func(r string) bool { return r != "root" })
}

// ErrExists is the error for an output that is there and may not be replaced.
var ErrExists = errors.New("it is kept")

// inputError marks an input that is wrong, as against a build that failed.
type inputError struct{ error }

func (e inputError) Unwrap() error { return e.error }

// IsInputError tells whether err is about what the caller gave.
func IsInputError(err error) bool {
	var in inputError
	return errors.As(err, &in)
}

// ListFeatures returns all features, in a fixed order.
func ListFeatures() []feature.Info { return feature.All() }
