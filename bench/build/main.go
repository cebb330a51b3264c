// The build benchmark times "bareroot build" and "bareroot dracut" against
// other initramfs generators, on the same kernel in the same run, and prints a
// table and ratios for each case.
//
//	make build
//	go run ./bench/build [-runs 5] [-slow-runs 2] [-cases generic,warm] [-booster DIR] [-dracut-ng DIR]
//
// dracut and mkinitramfs are those that are installed; -booster names a folder
// with booster's generator ("booster") and its "init", -dracut-ng a built source
// tree. A peer that is missing or fails prints "not measured" and why. Rounds
// go through program and peers in turns, so that other load on the machine hits
// all alike; what takes more than ten seconds has -slow-runs rounds.
//
// Peers want their kernel below /lib/modules and /boot: as root the benchmark
// runs itself once more in a mount namespace of its own where it is there. The
// kernel is -sysroot's, or found as by the lab's tests (BAREROOT_CACHE). CPU
// seconds are those of the program and all that it started, memory is that of the
// largest single process. No case compares equal contents but those that say so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"bareroot/internal/lab/distro"
)

// settings are the flags and what follows from them.
type settings struct {
	bareroot, sysroot, busybox string
	booster, dracutNG          string
	runs, slowRuns             int
	cases                      string
	cold                       bool
	keep, current              string // folder for what was built; the case under way

	kver string
	tmp  string
	// noPeers is why peers that read /lib/modules cannot be run.
	noPeers string
}

func main() {
	var s settings
	var inside bool
	flag.StringVar(&s.bareroot, "bareroot", "bin/bareroot", "program under test")
	flag.StringVar(&s.sysroot, "sysroot", "", "where the kernel is unpacked (default: as the lab's tests find it)")
	flag.StringVar(&s.busybox, "busybox", "/bin/busybox", "static busybox")
	flag.StringVar(&s.booster, "booster", "", "folder with booster's generator and init")
	flag.StringVar(&s.dracutNG, "dracut-ng", "", "built source tree of dracut-ng")
	flag.IntVar(&s.runs, "runs", 5, "rounds")
	flag.IntVar(&s.slowRuns, "slow-runs", 2, "rounds of what takes more than ten seconds")
	flag.StringVar(&s.cases, "cases", "", "only these cases, by commas: "+strings.Join(caseNames(), ","))
	flag.BoolVar(&s.cold, "cold", false, "drop the kernel's page cache before each build (needs root)")
	flag.StringVar(&s.keep, "keep", "", "copy what the first round builds to this folder, as CASE-NAME.img")
	flag.BoolVar(&inside, "inside", false, "this process has a mount namespace of its own (set by the benchmark)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, &s, inside); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) { // the process in the namespace has said it
			fmt.Fprintln(os.Stderr, "bench build:", err)
		}
		os.Exit(1)
	}
}

func start(ctx context.Context, s *settings, inside bool) error {
	if !inside && os.Geteuid() == 0 {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, self, append([]string{"-inside"}, os.Args[1:]...)...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		// Go makes the mounts of a new namespace private.
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		return cmd.Run()
	}
	var err error
	if s.bareroot, err = filepath.Abs(s.bareroot); err != nil {
		return err
	}
	if s.tmp, err = os.MkdirTemp("", "bareroot-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.tmp)
	if err := s.findKernel(ctx); err != nil {
		return err
	}
	switch {
	case inside:
		if err := s.mountKernel(); err != nil {
			s.noPeers = err.Error()
		} else {
			defer s.unmount()
		}
	case s.sysroot != "/":
		s.noPeers = "without root the kernel cannot be put where it looks"
	}
	return s.bench(ctx)
}

func (s *settings) findKernel(ctx context.Context) error {
	if s.sysroot == "" {
		cache, err := distro.CacheDir()
		if err != nil {
			return err
		}
		k, err := distro.Kernel(ctx, cache)
		if err != nil {
			return err
		}
		s.sysroot, s.kver = k.Root, k.Version
		return nil
	}
	var err error
	if s.sysroot, err = filepath.Abs(s.sysroot); err != nil {
		return err
	}
	deps, err := filepath.Glob(filepath.Join(s.sysroot, "lib/modules/*/modules.dep"))
	if err != nil {
		return err
	}
	if len(deps) != 1 {
		return fmt.Errorf("%s/lib/modules has %d kernels that depmod has seen, not one", s.sysroot, len(deps))
	}
	s.kver = filepath.Base(filepath.Dir(deps[0]))
	return nil
}

// mountKernel shows the kernel at /lib/modules and /boot. If this machine has
// no such folder, an overlay on its parent makes it, here only.
func (s *settings) mountKernel() error {
	if s.sysroot == "/" {
		return nil
	}
	modules := filepath.Join(s.sysroot, "lib/modules")
	for _, m := range []struct{ from, to string }{{modules, "/lib/modules"}, {filepath.Join(s.sysroot, "boot"), "/boot"}} {
		if _, err := os.Stat(m.to); errors.Is(err, fs.ErrNotExist) {
			parent, err := filepath.EvalSymlinks(filepath.Dir(m.to))
			if err != nil {
				return err
			}
			upper, work := filepath.Join(s.tmp, "upper"), filepath.Join(s.tmp, "work")
			if err := errors.Join(os.MkdirAll(filepath.Join(upper, filepath.Base(m.to)), 0o755), os.MkdirAll(work, 0o755)); err != nil {
				return err
			}
			options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", parent, upper, work)
			if err := unix.Mount("overlay", parent, "overlay", 0, options); err != nil {
				return fmt.Errorf("mount an overlay on %s: %w", parent, err)
			}
		}
		if err := unix.Mount(m.from, m.to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.from, m.to, err)
		}
	}
	return nil
}

// unmount lets the temporary folder go.
func (s *settings) unmount() {
	for _, m := range []string{"/lib/modules", "/boot"} {
		unix.Unmount(m, unix.MNT_DETACH)
	}
	if parent, err := filepath.EvalSymlinks("/lib"); err == nil {
		unix.Unmount(parent, unix.MNT_DETACH)
	}
}

func (s *settings) bench(ctx context.Context) error {
	wanted := caseNames()
	if s.cases != "" {
		wanted = strings.Split(s.cases, ",")
		for _, w := range wanted {
			if !slices.Contains(caseNames(), w) {
				return fmt.Errorf("there is no case %q: cases are %s", w, strings.Join(caseNames(), ", "))
			}
		}
	}
	fmt.Printf("kernel %s, %d cores, %s, page cache %s\n", s.kver, runtime.NumCPU(), cpuModel(), map[bool]string{true: "dropped", false: "warm"}[s.cold])
	s.printPeers(ctx)
	for _, name := range []string{"bareroot-init", "bareroot-agent"} {
		if fi, err := os.Stat(filepath.Join(filepath.Dir(s.bareroot), name)); err == nil {
			fmt.Printf("%s %s MiB\n", name, mib(fi.Size()))
		}
	}
	for _, c := range cases {
		if !slices.Contains(wanted, c.name) {
			continue
		}
		subjects, err := c.subjects(ctx, s)
		if err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
		fmt.Printf("\n%s: %s; load before %s\n", c.name, c.goal, load())
		s.current = c.name
		if err := s.rounds(ctx, subjects); err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
		printTable(subjects)
	}
	return nil
}
