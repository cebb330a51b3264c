// The build benchmark times "bareroot build" against the initramfs generators
// that are installed, on the same kernel in the same run, and prints ratios.
//
//	go run ./bench/build -bareroot bin/bareroot -sysroot DIR [-busybox FILE] [-runs 3] [-cold]
//
// "bareroot" builds with an empty cache, "bareroot, again" with the one that
// the build before it left. -cold drops the kernel's page cache before each
// build as well. A peer that is missing or cannot build for this kernel prints "not measured".
// Contents differ between the programs, so module counts are printed too.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

type peer struct {
	name  string
	args  func(out string) []string
	fresh string // folder to remove before each build
	why   string // why it is not measured
}

type sample struct{ wall, cpu float64 }

func main() {
	bareroot := flag.String("bareroot", "bin/bareroot", "program under test")
	sysroot := flag.String("sysroot", "/", "where the kernel is unpacked")
	busybox := flag.String("busybox", "", "static busybox")
	runs := flag.Int("runs", 3, "builds of each")
	cold := flag.Bool("cold", false, "drop the page cache before each build (needs root)")
	flag.Parse()
	if err := bench(*bareroot, *sysroot, *busybox, *runs, *cold); err != nil {
		fmt.Fprintln(os.Stderr, "bench build:", err)
		os.Exit(1)
	}
}

func bench(bareroot, sysroot, busybox string, runs int, cold bool) error {
	tmp, err := os.MkdirTemp("", "bareroot-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	ours := []string{bareroot, "build", "--sysroot", sysroot, "--role", "discover", "--role", "deploy"}
	if busybox != "" {
		ours = append(ours, "--busybox", busybox)
	}
	out, err := exec.Command(ours[0], append(ours[1:], "--no-cache", "-o", filepath.Join(tmp, "probe"), "--json")...).Output()
	if err != nil {
		return fmt.Errorf("%s: %w%s", bareroot, err, stderr(err))
	}
	var probe struct {
		Manifest struct{ Kver string }
		Modules  int
		Size     int64
	}
	if err := json.Unmarshal(out, &probe); err != nil {
		return err
	}
	kver := probe.Manifest.Kver
	cache := filepath.Join(tmp, "cache")
	cached := func(o string) []string { return append(slices.Clone(ours), "--cache-dir", cache, "-o", o) }
	peers := []peer{{name: "bareroot", args: cached, fresh: cache}, {name: "bareroot, again", args: cached}, dracut(sysroot, kver, tmp), mkinitramfs(kver)}

	// Round after round, so that other load on the machine hits all alike.
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("load before: %s", load)
	samples := make([][]sample, len(peers))
	size := make([]int64, len(peers))
	for range runs {
		for i := range peers {
			p := &peers[i]
			if p.why != "" {
				continue
			}
			if p.fresh != "" {
				if err := os.RemoveAll(p.fresh); err != nil {
					return err
				}
			}
			if cold {
				syscall.Sync()
				if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
					return fmt.Errorf("drop the page cache: %w", err)
				}
			}
			file := filepath.Join(tmp, "out")
			s, err := timed(p.args(file))
			if err != nil {
				p.why, samples[i] = err.Error(), nil
				continue
			}
			fi, err := os.Stat(file)
			if err != nil {
				return err
			}
			samples[i], size[i] = append(samples[i], s), fi.Size()
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"bareroot-init", "bareroot-agent"} {
		if fi, err := os.Stat(filepath.Join(filepath.Dir(bareroot), name)); err != nil {
			fmt.Printf("%s: not measured: %v\n", name, err)
		} else {
			fmt.Printf("%s: %.2f MiB\n", name, float64(fi.Size())/(1<<20))
		}
	}
	fmt.Printf("kernel %s, %d modules in bareroot's ramdisk, %d cores, %d runs, page cache %s\n", kver, probe.Modules, runtime.NumCPU(), runs, map[bool]string{true: "dropped", false: "warm"}[cold])
	fmt.Printf("%-16s %-26s %-26s %-10s %s\n", "program", "wall s [min-max]", "CPU s [min-max]", "MiB", "bareroot / it (wall, CPU)")
	base := samples[0]
	for i, p := range peers {
		if len(samples[i]) == 0 {
			fmt.Printf("%-16s not measured: %s\n", p.name, p.why)
			continue
		}
		wall, cpu := column(samples[i], func(s sample) float64 { return s.wall }), column(samples[i], func(s sample) float64 { return s.cpu })
		ratio := ""
		if i > 0 {
			bw, bc := column(base, func(s sample) float64 { return s.wall }), column(base, func(s sample) float64 { return s.cpu })
			ratio = fmt.Sprintf("%.3f, %.3f", median(bw)/median(wall), median(bc)/median(cpu))
		}
		fmt.Printf("%-16s %-26s %-26s %-10.1f %s\n", p.name, spread(wall), spread(cpu), float64(size[i])/(1<<20), ratio)
	}
	return nil
}

// dracut in its generic mode, untouched by this machine's configuration.
func dracut(sysroot, kver, tmp string) peer {
	p := peer{name: "dracut"}
	tool, err := exec.LookPath("dracut")
	if err != nil {
		p.why = "it is not installed"
		return p
	}
	empty := filepath.Join(tmp, "empty")
	if err := os.MkdirAll(empty, 0o755); err != nil {
		p.why = err.Error()
		return p
	}
	p.args = func(o string) []string {
		return []string{tool, "-N", "--force", "-q", "--no-early-microcode", "-c", "/dev/null", "--confdir", empty,
			"--kmoddir", filepath.Join(sysroot, "lib/modules", kver), o, kver}
	}
	return p
}

// mkinitramfs of initramfs-tools only builds for kernels installed here.
func mkinitramfs(kver string) peer {
	p := peer{name: "mkinitramfs"}
	tool, err := exec.LookPath("mkinitramfs")
	if err != nil {
		p.why = "it is not installed"
	} else if _, err := os.Stat(filepath.Join("/lib/modules", kver)); err != nil {
		p.why = fs.ErrNotExist.Error() + ": /lib/modules/" + kver
	}
	p.args = func(o string) []string { return []string{tool, "-o", o, kver} }
	return p
}

func timed(args []string) (sample, error) {
	cmd := exec.Command(args[0], args[1:]...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start).Seconds()
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w: %.200s", args[0], err, errs.String())
	}
	// Both times hold those of children that were waited for.
	return sample{wall, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}, nil
}

func stderr(err error) string {
	if e, ok := err.(*exec.ExitError); ok {
		return ": " + string(bytes.TrimSpace(e.Stderr))
	}
	return ""
}

func column(s []sample, f func(sample) float64) []float64 {
	var out []float64
	for _, x := range s {
		out = append(out, f(x))
	}
	slices.Sort(out)
	return out
}

func median(sorted []float64) float64 { return sorted[len(sorted)/2] }

func spread(sorted []float64) string {
	return fmt.Sprintf("%.2f [%.2f-%.2f]", median(sorted), sorted[0], sorted[len(sorted)-1])
}
