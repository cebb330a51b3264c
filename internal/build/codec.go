package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"bareroot/internal/build/cache"
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

// zstdProgram finds zstd's program and its version; the output of one version
// is always the same.
func zstdProgram(ctx context.Context) (path, version string) {
	path, err := exec.LookPath("zstd")
	if err != nil {
		return "", ""
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", ""
	}
	return path, strings.TrimSpace(string(out))
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

// aligner is an encoder whose stream can be brought to end on a multiple of 4
// bytes by a few zeros more of input; n is the bytes written before it.
type aligner interface {
	align(written func() int64) error
}

// making is how a segment is made.
type making struct {
	cache    *cache.Cache // of gzip's pieces
	jobs     int          // how many of them at a time; one if 0
	unhashed bool         // nobody asks for the hashes of files and segment
	known    *knownFiles  // whose hashes need no reading; nil without
}

// writer returns an encoder to w; Close ends the stream, not w.
func (c codec) writer(ctx context.Context, w io.Writer, m making) (io.WriteCloser, error) {
	switch {
	case c.program != "":
		return startProgram(ctx, c, w, -1)
	case c.name == "zstd":
		z, err := newEncoder(w, c.level)
		return zstdStream{z}, err
	case c.name == "xz":
		return newXZ(w, c.level)
	case c.name == "gzip":
		level := c.level
		if level == 0 {
			level = 3 // two thirds of level 6's work; the whole is 1.6 % larger
		}
		return newGzip(w, level, m.jobs, openPieces(m.cache, c))
	case c.name == "lz4":
		return &lz4Stream{w: w, level: c.level}, nil
	}
	return nopCloser{w}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// newXZ makes what the kernel reads: CRC32 as the check (Documentation/staging/xz.rst)
// and a dictionary that fits in its memory.
func newXZ(w io.Writer, level int) (io.WriteCloser, error) {
	if level == 0 {
		level = 6
	}
	conf := xz.WriterConfig{CheckSum: xz.CRC32, DictCap: 1 << (18 + min(level, 5))}
	return conf.NewWriter(w)
}

// newEncoder makes a zstd encoder whose output does not depend on the machine.
func newEncoder(w io.Writer, level int) (*zstd.Encoder, error) {
	speed := zstd.SpeedDefault
	if level > 0 {
		speed = zstd.EncoderLevelFromZstd(level)
	}
	e, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(speed))
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return e, nil
}

type zstdStream struct{ *zstd.Encoder }

// align lets the zstd frame end on a multiple of 4 by itself, by a few zeros
// after the archive, so that the zstd program does not stumble over zeros after
// the frame. A short block is stored as it is, 3 bytes of header before it; the
// frame's end is an empty block and a checksum, 7 bytes. Should another encoder
// do otherwise, the segment is padded.
func (z zstdStream) align(written func() int64) error {
	const head, end = 3, 3 + 4
	if err := z.Flush(); err != nil {
		return err
	}
	n := written()
	if (n+end)%4 == 0 {
		return nil
	}
	if _, err := z.Write(make([]byte, 4-(n+head+end)%4)); err != nil {
		return err
	}
	return z.Flush()
}

// programStream pipes through zstd's program.
type programStream struct {
	in   io.WriteCloser
	cmd  *exec.Cmd
	said *bytes.Buffer
	done bool
	err  error
}

// startProgram is told the size of what will be written, if it is known: the
// program's tables, some 100 MiB otherwise, fit it then.
func startProgram(ctx context.Context, c codec, w io.Writer, size int) (io.WriteCloser, error) {
	p := &programStream{said: &bytes.Buffer{}}
	args := []string{fmt.Sprintf("-%d", c.level), "--single-thread", "--quiet", "--stdout"}
	if size >= 0 {
		args = append(args, fmt.Sprintf("--stream-size=%d", size))
	}
	p.cmd = exec.CommandContext(ctx, c.program, append(args, "-")...)
	p.cmd.Stdout, p.cmd.Stderr = w, p.said
	p.cmd.Env = []string{"LC_ALL=C"} // ZSTD_CLEVEL and the like must not count
	var err error
	if p.in, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("compress with %s: %w", c.program, err)
	}
	return p, nil
}

func (p *programStream) Write(b []byte) (int, error) { return p.in.Write(b) }

func (p *programStream) Close() error {
	if p.done {
		return p.err
	}
	p.done = true
	p.err = p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		p.err = fmt.Errorf("compress with %s: %w: %s", p.cmd.Path, err, bytes.TrimSpace(p.said.Bytes()))
	}
	return p.err
}

// moduleCompressor compresses modules, or the agent, one by one, for one goroutine.
type moduleCompressor struct {
	codec codec
	zstd  *zstd.Encoder
	buf   []byte // for what is read of a module
}

func newModuleCompressor(c codec) (*moduleCompressor, error) {
	m := &moduleCompressor{codec: c}
	if c.name == "zstd" && c.program == "" {
		var err error
		if m.zstd, err = newEncoder(nil, c.level); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// compress puts the result into out, if it fits.
func (m *moduleCompressor) compress(ctx context.Context, b, out []byte) ([]byte, error) {
	switch {
	case m.zstd != nil:
		return m.zstd.EncodeAll(b, slices.Grow(out[:0], len(b)/2)), nil
	case m.codec.name == "none":
		return append(out[:0], b...), nil // b's memory is used for the next one
	}
	packed := bytes.NewBuffer(out[:0])
	w, err := startProgram(ctx, m.codec, packed, len(b))
	if err != nil {
		return nil, err
	}
	_, err = w.Write(b)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

func (m *moduleCompressor) close() {
	if m.zstd != nil {
		m.zstd.Close()
	}
}
