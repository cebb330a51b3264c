package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"bareroot/internal/build"
	"bareroot/internal/build/cache"
	"bareroot/internal/cmdline"
	"bareroot/internal/cmdline/words"
	"bareroot/internal/human"
	"bareroot/internal/version"
)

func newBuildCommand(e *env) *cobra.Command {
	var o build.Options
	var b buildCall
	cmd := &cobra.Command{
		Use:   "build -o FILE | --format dir -o DIR | --explain",
		Short: "Build a ramdisk or a boot set",
		Long: `Build makes one ramdisk (-o FILE) or a boot set (--format dir -o DIR): the kernel,
the ramdisk in segments, and a manifest with their hashes.

The kernel modules are a generic set for machines not known yet: storage, wired
network, filesystems, USB and keyboards, virtual machines, and what these need.
--hostonly takes this machine's instead, --drivers those that are listed.
--list-features names the features that can be added.

The same inputs give the same bytes; SOURCE_DATE_EPOCH sets the time of the
files in the ramdisk, which is 1970 otherwise. Finished work is kept below the
user's cache folder ("bareroot cache") and does not change the bytes.

Settings for all builds are read from /etc/bareroot/build.yaml, whose keys are
the long options; an option on the command line wins.`,
		Example: `  bareroot build -o initrd.img
  bareroot build --format dir -o /srv/boot/6.1 && bareroot boot add debian-6.1 /srv/boot/6.1
  bareroot build --drivers "virtio_pci virtio_blk ext4" -o small.img
  bareroot build --explain --add-feature sshd --install "lspci /usr/bin/jq"`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return b.run(e, cmd, &o, args) },
	}
	f := cmd.Flags()
	buildFlags(f, &o, &b.two)
	f.StringVarP(&b.output, "output", "o", "", "`FILE` or folder to make")
	f.StringVar(&b.format, "format", "file", "file: one ramdisk; dir: a boot set")
	f.StringVar(&b.config, "config", buildConfig, "`FILE` with settings")
	f.BoolVar(&b.noCache, "no-cache", false, "neither use nor keep finished work of other builds")
	f.StringVar(&b.cacheDir, "cache-dir", "", "`DIR` for finished work (default: bareroot/build in the user's cache folder)")
	f.BoolVar(&b.explain, "explain", false, "list every file with its source, package and reason, and build only if -o is given")
	f.BoolVar(&b.list, "list-features", false, "list the features and end")
	f.BoolVar(&b.force, "force", false, "replace an existing output")
	f.BoolVar(&b.asJSON, "json", false, "print the result as JSON")
	return cmd
}

// buildCall is what one call of build is told besides the ramdisk's options.
type buildCall struct {
	two              pairs
	output, format   string
	config, cacheDir string
	noCache          bool
	explain, list    bool
	force, asJSON    bool
}

func (b *buildCall) run(e *env, cmd *cobra.Command, o *build.Options, args []string) error {
	if err := b.two.close(o, args); err != nil {
		return usageError{err}
	}
	if b.list {
		return listFeatures(e.Stdout)
	}
	from, err := readBuildConfig(b.config, cmd.Flags().Changed("config"), cmd.Flags(), o)
	if err != nil {
		return usageError{err}
	}
	if b.output == "" && !b.explain {
		return usageError{fmt.Errorf("name the output with -o")}
	}
	if err := errors.Join(checkBuild(o), completeBuild(o)); err != nil {
		return usageError{blame(from, err)}
	}
	make := build.File
	switch b.format {
	case "file":
	case "dir":
		make = build.Dir
	default:
		return usageError{fmt.Errorf("--format %q: formats are file and dir", b.format)}
	}
	if !b.noCache {
		c, err := cache.Open(b.cacheDir, 0)
		if err != nil {
			fmt.Fprintf(e.Stderr, "bareroot: building without a cache: %v\n", err)
		} else {
			o.Cache = c
			defer c.Close()
		}
	}
	if b.explain {
		if err := explainBuild(cmd.Context(), e, *o, b.asJSON && b.output == ""); err != nil || b.output == "" {
			return buildFailure(e, from, err)
		}
	}
	done := showProgress(e, o)
	res, err := make(cmd.Context(), *o, b.output, b.force)
	done()
	if err != nil {
		return buildFailure(e, from, err)
	}
	res.Notices = append(res.Notices, lineNotices(o)...)
	if b.asJSON {
		enc := json.NewEncoder(e.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(res)
	}
	return printBuild(e.Stdout, res, b.format == "dir")
}

// lineNotices are the words of --cmdline that the ramdisk will not take as they
// are written.
func lineNotices(o *build.Options) []string {
	if o.Cmdline == "" {
		return nil
	}
	role := "root"
	if len(o.Roles) > 0 {
		role = o.Roles[0]
	}
	r := words.Explain(cmdline.Parse(o.Cmdline, ""), role)
	var out []string
	for _, w := range r.Words {
		if w.State == words.Malformed {
			out = append(out, fmt.Sprintf("--cmdline, the word %s is malformed: %s", w.Word, w.Problem))
		}
	}
	for _, problem := range r.Errors {
		out = append(out, "--cmdline: "+problem)
	}
	return out
}

// buildFailure gives an error of a build its exit code and writes its table.
func buildFailure(e *env, from []setting, err error) error {
	var over *build.BudgetError
	switch {
	case errors.As(err, &over):
		if err := over.Table(e.Stderr); err != nil {
			return err
		}
	case errors.Is(err, build.ErrExists):
		return fmt.Errorf("%w: %w", errRefused, err)
	case build.IsInputError(err):
		return usageError{blame(from, err)}
	}
	return err
}

func listFeatures(w io.Writer) error {
	t := newTable("FEATURE", "IN", "DOES")
	for _, f := range build.ListFeatures() {
		t.add(f.Name, string(f.When), f.About)
	}
	t.write(w, "")
	return nil
}

// completeBuild fills in what comes from this process: our own programs, the
// build id, the time of the files.
func completeBuild(o *build.Options) error {
	o.BuildID = version.ID()
	if o.Init == "" {
		o.Init = ownFile("bareroot-init")
	}
	if o.Agent == "" {
		o.Agent = ownFile("bareroot-agent")
	}
	o.ModTime = time.Unix(0, 0)
	if s := os.Getenv("SOURCE_DATE_EPOCH"); s != "" {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH=%q is no time in seconds", s)
		}
		o.ModTime = time.Unix(int64(n), 0)
	}
	return nil
}

// ownFile finds a program of ours: beside this one, in ../lib/bareroot, in
// /usr/lib/bareroot.
func ownFile(name string) string {
	var dirs []string
	if self, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		dirs = append(dirs, filepath.Dir(self), filepath.Join(filepath.Dir(self), "../lib/bareroot"))
	}
	for _, d := range append(dirs, "/usr/lib/bareroot") {
		p := filepath.Join(d, name)
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() {
			return p
		}
	}
	return ""
}

// showProgress draws one line on a terminal and nothing elsewhere. The returned
// function removes it.
func showProgress(e *env, o *build.Options) func() {
	f, ok := e.Stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func() {}
	}
	var last time.Time
	o.Progress = func(p build.Progress) {
		if now := time.Now(); now.Sub(last) > 50*time.Millisecond || p.Done == p.Total {
			last = now
			fmt.Fprintf(f, "\r\x1b[K%s %d/%d", p.Segment, p.Done, p.Total)
		}
	}
	return func() { fmt.Fprint(f, "\r\x1b[K") }
}

func printBuild(w io.Writer, r *build.Result, set bool) error {
	t := newTable("SEGMENT", "FILES", "CONTENT", "SIZE", "TIME")
	for _, s := range r.Segments {
		t.add(s.Kind, strconv.Itoa(s.Files), human.Bytes(s.Raw), human.Bytes(s.Size), human.Duration(time.Duration(s.Seconds*float64(time.Second))))
	}
	t.write(w, "")
	for _, n := range r.Notices {
		fmt.Fprintf(w, "notice: %s\n", n)
	}
	if n := len(r.MissingFirmware); n == 1 {
		fmt.Fprintf(w, "firmware that these modules name is not installed: %s\n", clean(r.MissingFirmware[0]))
	} else if n > 1 {
		fmt.Fprintf(w, "%d firmware files that these modules name are not installed (--json lists them)\n", n)
	}
	m := r.Manifest
	what := "ramdisk"
	if set {
		what = "boot set " + short(m.ID)
	}
	kernel := "kernel " + m.Kver
	if m.Kver == "" {
		kernel = "any kernel"
	}
	_, err := fmt.Fprintf(w, "%s: %s for %s (%s), roles %s, %d modules, %s in %s\n", r.Output, what, kernel, m.Arch,
		strings.Join(m.Roles, " "), r.Modules, human.Bytes(r.Size), human.Duration(time.Duration(r.Seconds*float64(time.Second))))
	return err
}
