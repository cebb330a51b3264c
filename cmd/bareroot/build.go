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
	"bareroot/internal/human"
	"bareroot/internal/version"
)

func newBuildCommand(e *env) *cobra.Command {
	var o build.Options
	var output, format string
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:   "build -o FILE | --format dir -o DIR",
		Short: "Build a ramdisk or a boot set",
		Long: `Build makes one ramdisk (-o FILE) or a boot set (--format dir -o DIR): the kernel,
the ramdisk in segments, and a manifest with their hashes.

The kernel modules are a generic set for machines not known yet: storage, wired
network, filesystems, USB and keyboards, virtual machines, and what these need.
The same inputs give the same bytes; SOURCE_DATE_EPOCH sets the time of the
files in the ramdisk, which is 1970 otherwise.`,
		Example: `  bareroot build -o initrd.img
  bareroot build --format dir -o /srv/boot/6.1 && bareroot boot add debian-6.1 /srv/boot/6.1`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("build takes no argument, %q is one; the output is named with -o", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == "" {
				return usageError{fmt.Errorf("name the output with -o")}
			}
			if err := completeBuild(&o); err != nil {
				return usageError{err}
			}
			make := build.File
			switch format {
			case "file":
			case "dir":
				make = build.Dir
			default:
				return usageError{fmt.Errorf("--format %q: formats are file and dir", format)}
			}
			done := showProgress(e, &o)
			res, err := make(cmd.Context(), o, output, force)
			done()
			switch {
			case errors.Is(err, build.ErrExists):
				return fmt.Errorf("%w: %w", errRefused, err)
			case build.IsInputError(err):
				return usageError{err}
			case err != nil:
				return err
			}
			if asJSON {
				enc := json.NewEncoder(e.Stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(res)
			}
			return printBuild(e.Stdout, res, format == "dir")
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Sysroot, "sysroot", "/", "take kernel, modules, firmware, busybox and certificates from below `DIR`")
	f.StringVar(&o.Kver, "kver", "", "kernel `VERSION` (default: the only or the newest one)")
	f.StringVar(&o.Kernel, "kernel", "", "kernel `FILE` (default: SYSROOT/boot/vmlinuz-VERSION)")
	f.StringVar(&o.ModulesDir, "modules-dir", "", "`DIR` with a folder of modules for each kernel (default: SYSROOT/lib/modules)")
	f.StringVar(&o.FirmwareDir, "firmware-dir", "", "`DIR` with firmware (default: SYSROOT/lib/firmware)")
	f.StringArrayVar(&o.Roles, "role", nil, "`ROLE` the ramdisk is for: root, discover, deploy, rescue; may be repeated (default: root)")
	f.StringVar(&o.Cmdline, "cmdline", "", "kernel command line")
	f.StringVar(&o.Init, "init", "", "bareroot-init `FILE`")
	f.StringVar(&o.Agent, "agent", "", "bareroot-agent `FILE`")
	f.StringVar(&o.Busybox, "busybox", "", "static busybox `FILE` (default: the one in SYSROOT)")
	f.StringVarP(&output, "output", "o", "", "`FILE` or folder to make")
	f.StringVar(&format, "format", "file", "file: one ramdisk; dir: a boot set")
	f.BoolVar(&force, "force", false, "replace an existing output")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
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
	if n := len(r.MissingFirmware); n > 0 {
		fmt.Fprintf(w, "%d firmware files that these modules name are not installed (--json lists them)\n", n)
	}
	m := r.Manifest
	what := "ramdisk"
	if set {
		what = "boot set " + short(m.ID)
	}
	_, err := fmt.Fprintf(w, "%s: %s for kernel %s (%s), roles %s, %d modules, %s in %s\n", r.Output, what, m.Kver, m.Arch,
		strings.Join(m.Roles, " "), r.Modules, human.Bytes(r.Size), human.Duration(time.Duration(r.Seconds*float64(time.Second))))
	return err
}
