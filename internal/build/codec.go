package build

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// codec is a compression of whole segments or of single modules. All of them
// but gzip, whose pieces do not depend on another, are single-threaded, so that
// the bytes do not depend on the machine.
type codec struct {
	name    string // zstd, xz, gzip, lz4, none
	level   int    // 0: the encoder's default
	program string // zstd's own program, for levels that the library lacks
	version string // of the program
}

// codecs are what segments can be compressed with, the most wanted first: what
// to fall back on, and the kernel's option for it.
var codecs = [...]struct{ name, option string }{
	{"zstd", "RD_ZSTD"}, {"gzip", "RD_GZIP"}, {"xz", "RD_XZ"}, {"lz4", "RD_LZ4"}, {"none", ""},
}

// bestLevel is zstd's level for "best".
const bestLevel = 19

// chooseCodecs returns the compression of segments and that of modules inside
// them, and what to tell of it. Init reads modules that are plain or zstd, so a
// module never gets another one; it needs nothing of the kernel.
func chooseCodecs(ctx context.Context, o *Options, k *kconfig) (segment, module codec, notices []string, err error) {
	name, level := o.Compress, o.CompressLevel
	if name == "" {
		name = "zstd"
	}
	// The fastest level by default: one by one, modules are 1.3 % larger so than at
	// level 3, for two thirds of the work.
	module = codec{name: "zstd", level: 1}
	best := name == "best"
	if best {
		name = "zstd"
	}
	limit := map[string]int{"zstd": 22, "xz": 9, "gzip": 9, "lz4": 9, "none": 0}
	top, known := limit[name]
	switch {
	case !known:
		return segment, module, nil, inputError{fmt.Errorf("--compress %q: compressions are zstd, xz, gzip, lz4, none and best", o.Compress)}
	case top == 0 && level != 0:
		return segment, module, nil, inputError{fmt.Errorf("--compress-level %d: %s has no levels", level, name)}
	case level < 0 || level > top:
		return segment, module, nil, inputError{fmt.Errorf("--compress-level %d: %s has levels 1 to %d", level, name, top)}
	case best && level != 0:
		return segment, module, nil, inputError{errors.New("--compress best chooses the level itself: leave out --compress-level")}
	}
	if used := k.unpacks(name); used != name {
		notices = append(notices, fmt.Sprintf("this kernel cannot unpack a ramdisk compressed with %s (CONFIG_%s is not set): %s is used", name, codecOption(name), used))
		name, level = used, 0
	}
	segment = codec{name: name, level: level}
	switch {
	case o.Compress == "none":
		module = codec{name: "none"}
	case name == "zstd" && level > 0:
		module.level = level
	}
	if best {
		program, version := zstdProgram(ctx)
		if program == "" {
			notices = append(notices, "the zstd program is not installed: --compress best is the best that bareroot has built in, some 4 % larger")
			module.level = bestLevel
			if segment.name == "zstd" {
				segment.level = bestLevel
			}
			return segment, module, notices, nil
		}
		module = codec{"zstd", bestLevel, program, version}
		if segment.name == "zstd" {
			segment = module
		}
	}
	return segment, module, notices, nil
}

// everyBoot is the compression of what each boot unpacks whole, init and the
// userland: segment's, unless nobody asked for one and the kernel is known to
// unpack lz4. That is a quarter of zstd's work for the kernel, and less than half
// of it here, for a third more bytes of these few.
func everyBoot(o *Options, k *kconfig, segment codec) codec {
	if o.Compress == "" && o.CompressLevel == 0 && !o.TwoParts && k.known() && k.set[codecOption("lz4")] {
		return codec{name: "lz4"}
	}
	return segment
}

func codecOption(name string) string {
	for _, c := range codecs {
		if c.name == name {
			return c.option
		}
	}
	return ""
}

func (c codec) suffix() string {
	switch c.name {
	case "zstd":
		return ".zst"
	case "gzip":
		return ".gz"
	case "none":
		return ""
	}
	return "." + c.name
}

// word is what the manifest says.
func (c codec) word() string {
	if c.name == "none" {
		return ""
	}
	return c.name
}

// params are all that decides the codec's output besides its input, for keys of
// the cache.
func (c codec) params() string {
	if c.program != "" {
		return fmt.Sprintf("%s -%d by %s", c.name, c.level, c.version)
	}
	return fmt.Sprintf("%s -%d %s", c.name, c.level, encoderVersions())
}

// encoderVersions are the versions of the libraries that compress.
func encoderVersions() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	out := []string{info.GoVersion}
	for _, d := range info.Deps {
		switch d.Path {
		case "github.com/klauspost/compress", "github.com/pierrec/lz4/v4", "github.com/ulikunitz/xz":
			out = append(out, d.Path+"@"+d.Version)
		}
	}
	return strings.Join(out, " ")
}
