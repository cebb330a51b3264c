package dracut

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bareroot/internal/build"
	"bareroot/internal/human"
)

// Env is the process that a command line is carried out in.
type Env struct {
	Stdout, Stderr io.Writer
	Machine        Machine
	Version        string // of this program, for --version
	// Complete fills in the options that come from this program; the returned
	// function is called when the build is over.
	Complete func(*build.Options) (done func(), err error)
}

// Run is dracut: it carries out a command line and returns the exit code. That
// is 0 if all is well and 1 if not; with --regenerate-all, the sum.
func Run(ctx context.Context, e Env, args []string) int {
	a, err := Parse(args, e.Machine.Getenv)
	if err != nil {
		return e.fail(nil, 4, err)
	}
	switch {
	case a.Wants("help"):
		io.WriteString(e.Stdout, help())
		return 0
	case a.Wants("version"):
		fmt.Fprintf(e.Stdout, "dracut %s (bareroot %s)\n", Version(a.Compat), e.Version)
		return 0
	}
	if img := a.Rebuild(); img != "" {
		words, err := Stored(img)
		if err == nil {
			a, err = a.Rebuilt(words)
		}
		if err != nil {
			return e.fail(nil, 4, err)
		}
	}
	c, err := ReadConf(ctx, a, e.Stderr)
	if err != nil {
		return e.fail(nil, a.level(nil), err)
	}
	if a.Wants("list_modules") {
		fmt.Fprintln(e.Stdout, strings.Join(ListModules(a.value("sysroot")), "\n"))
		return 0
	}
	if a.Wants("regenerate_all") {
		return e.all(ctx, a, c)
	}
	return e.one(ctx, a, c)
}

// one builds one image, or prints what was asked for instead.
func (e Env) one(ctx context.Context, a *Args, c *Conf) int {
	p, err := NewPlan(a, c, e.Machine)
	if err != nil {
		return e.fail(nil, a.level(c.Vars), err)
	}
	log := e.log(p)
	defer log.close()
	switch {
	case a.Wants("print_cmdline"):
		words, err := p.HostWords()
		if err != nil {
			return e.fail(log, p.Level, err)
		}
		fmt.Fprintln(e.Stdout, strings.Join(words, " "))
		return 0
	case a.Wants("printconfig"):
		for _, n := range slices.Sorted(maps.Keys(p.Vars)) {
			fmt.Fprintf(e.Stdout, "dracutconfig: %s=%s\n", n, strings.Join(p.Vars[n].Items, " "))
		}
		return 0
	}
	for _, n := range p.Notices {
		log.say(3, "%s", n)
	}
	done, err := e.Complete(&p.Build)
	if err != nil {
		return e.fail(log, p.Level, err)
	}
	res, err := build.File(ctx, p.Build, p.Output, p.Force)
	done()
	switch {
	case errors.Is(err, build.ErrExists):
		return e.fail(log, p.Level, fmt.Errorf("%s exists; -f replaces it", p.Output))
	case err != nil:
		return e.fail(log, p.Level, inDracutsWords(err))
	}
	e.report(p, res, log)
	if p.Loginstall != "" {
		if err := logInstall(ctx, p); err != nil {
			return e.fail(log, p.Level, err)
		}
	}
	return 0
}

// logInstall lists the files that were taken from the host, a file for each
// image.
func logInstall(ctx context.Context, p *Plan) error {
	files, _, err := build.Explain(ctx, p.Build)
	if err != nil {
		return fmt.Errorf("--loginstall: %w", err)
	}
	var from []string
	for _, f := range files {
		if f.Source != "" && f.Mode != "symlink" {
			from = append(from, f.Source)
		}
	}
	slices.Sort(from)
	if err := os.MkdirAll(p.Loginstall, 0o755); err != nil {
		return fmt.Errorf("--loginstall: %w", err)
	}
	name := filepath.Join(p.Loginstall, filepath.Base(p.Output)+".log")
	if err := os.WriteFile(name, []byte(strings.Join(append(slices.Compact(from), ""), "\n")), 0o644); err != nil {
		return fmt.Errorf("--loginstall: %w", err)
	}
	return nil
}

// inDracutsWords is dracutsWords for an error.
func inDracutsWords(err error) error {
	if text := dracutsWords(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// dracutsWords names options in a sentence of the builder as dracut does.
func dracutsWords(text string) string {
	return strings.NewReplacer("--modules-dir", "--kmoddir", "--firmware-dir", "--fwdir", "--kernel,", "--kernel-image,", "--kernel ", "--kernel-image ",
		"--add-feature", "--add", "--force-feature", "--force-add", "--omit-feature", "--omit", "--feature", "--modules").Replace(text)
}

// report says what was built.
func (e Env) report(p *Plan, res *build.Result, log *logger) {
	for _, n := range res.LeftOut {
		log.say(2, "%s", dracutsWords(n))
	}
	for _, n := range res.Notices {
		log.say(3, "%s", dracutsWords(n))
	}
	if n := len(res.MissingFirmware); n > 0 {
		log.say(4, "%d firmware files that these modules name are not installed", n)
	}
	if p.ShowModules {
		for _, m := range ModulesTxt(res.Features) {
			fmt.Fprintln(e.Stdout, m)
		}
	}
	for _, s := range res.Segments {
		if p.PrintSize {
			fmt.Fprintf(e.Stdout, "%s\t%d files\t%s\t%s in the image\n", s.Kind, s.Files, human.Bytes(s.Raw), human.Bytes(s.Size))
		}
		log.say(5, "segment %s: %d files, %s", s.Kind, s.Files, human.Bytes(s.Size))
	}
	log.say(4, "%s: ramdisk for kernel %s (%s), %d modules, %s in %s", res.Output, res.Manifest.Kver, res.Manifest.Arch,
		res.Modules, human.Bytes(res.Size), human.Duration(time.Duration(res.Seconds*float64(time.Second))))
}

// all builds an image for each kernel that depmod has seen.
func (e Env) all(ctx context.Context, a *Args, c *Conf) int {
	switch {
	case a.kernel() != "":
		return e.fail(nil, a.level(c.Vars), errors.New("--regenerate-all is for all kernels and takes no kernel version"))
	case a.Output != "":
		return e.fail(nil, a.level(c.Vars), errors.New("--regenerate-all writes to the usual places and takes no output"))
	}
	dir := a.value("sysroot") + "/lib/modules"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return e.fail(nil, a.level(c.Vars), fmt.Errorf("find kernels: %w", err))
	}
	sum := 0
	for _, k := range entries {
		for _, dep := range []string{"modules.dep", "modules.dep.bin"} {
			if _, err := os.Stat(filepath.Join(dir, k.Name(), dep)); err == nil {
				sum += e.one(ctx, a.WithKver(k.Name()), c)
				break
			}
		}
		if ctx.Err() != nil {
			return 1
		}
	}
	return min(sum, 255)
}

// logger says things on standard error and in the log file, up to a level.
type logger struct {
	w     io.Writer
	file  *os.File
	level int
}

func (e Env) log(p *Plan) *logger {
	l := &logger{w: e.Stderr, level: p.Level}
	if p.Logfile != "" {
		f, err := os.OpenFile(p.Logfile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			l.say(2, "open log file: %v", err)
			return l
		}
		l.file, l.w = f, io.MultiWriter(e.Stderr, f)
	}
	return l
}

func (l *logger) say(level int, format string, args ...any) {
	if l.level >= level {
		fmt.Fprintf(l.w, "dracut: "+format+"\n", args...)
	}
}

func (l *logger) close() {
	if l.file != nil {
		l.file.Close()
	}
}

// fail says why, unless nothing is to be said, and returns dracut's code for it.
func (e Env) fail(log *logger, level int, err error) int {
	if log == nil {
		log = &logger{w: e.Stderr, level: level}
	}
	log.say(1, "%v", err)
	if errors.As(err, new(UsageError)) {
		log.say(1, "usage: dracut [OPTION]... [OUTPUT [KVER]]; --help lists the options")
	}
	return 1
}

// help lists the options as a terminal shows them.
func help() string {
	var b strings.Builder
	b.WriteString("Usage: dracut [OPTION]... [OUTPUT [KVER]]\n\nBuilds a ramdisk with bareroot, in dracut's words. A LIST is one word in quotes.\n\n")
	for _, o := range options() {
		names := "    "
		if o.Short != 0 {
			names = "-" + string(o.Short) + ", "
		}
		names += "--" + strings.Join(o.Long, ", --")
		if o.Arg != "" {
			names += " " + o.Arg
		}
		what := o.Here
		switch o.Standing {
		case noted:
			what = "(no effect) " + what
		case refused:
			what = "(refused) " + what
		}
		fmt.Fprintf(&b, "  %s\n        %s\n", names, what)
	}
	return b.String()
}
