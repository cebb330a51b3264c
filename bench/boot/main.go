// The boot benchmark boots ramdisks to a marker program, the init of an ext4
// root on a virtio disk, and compares: time from the start of the kernel to
// the marker and from the ramdisk's init to it, the smallest memory that
// boots, the memory that is left afterwards.
//
//	go run ./bench/boot [-runs 5] [-memory] [-exact] [-bound 4m] [GROUP:NAME=FILE ...]
//
// bareroot's ramdisks are built by bin/bareroot in the groups minimal (ext4 on
// virtio), generic and plain (minimal without shell). Ramdisks of other makers
// are given as files, in a group: minimal:booster=/tmp/booster-min.img; "go
// run ./bench/build -keep DIR" leaves them. Each round boots every ramdisk
// once by QEMU's instruction clock (-icount shift=0: a nanosecond of guest
// time is an instruction, other load does not count) and once plainly. It
// needs QEMU, gcc, and a kernel, found as the lab's tests find it (BAREROOT_CACHE).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/bench/figures"
	"bareroot/internal/hosttool"
	"bareroot/internal/lab/distro"
)

type options struct {
	bin    string
	runs   int
	memory bool
	only   string
	words  string
	show   bool
	bound  time.Duration
	exact  bool
}

// image is one ramdisk under test.
type image struct {
	group, name, file string
	memory            int // MiB of its guests
	mib               float64

	marker, user [2][]float64 // seconds: by instructions, plain
	free         []float64    // MiB
	modules      int
	least        int // MiB that still boot
	err          error
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "directory with bareroot, bareroot-init and bareroot-agent")
	flag.IntVar(&o.runs, "runs", 5, "boots of each kind")
	flag.BoolVar(&o.memory, "memory", false, "also find the smallest memory, in steps of 16 MiB")
	flag.StringVar(&o.only, "only", "", "only this group")
	flag.StringVar(&o.words, "append", "", "further words for the kernel's command line")
	flag.BoolVar(&o.show, "show", false, "show each console")
	flag.DurationVar(&o.bound, "bound", 4*time.Minute, "time for one boot")
	flag.BoolVar(&o.exact, "exact", false, "only by the instruction clock, which other load does not touch")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	if err := bench(ctx, o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench boot:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, o options, given []string) error {
	dir, err := os.MkdirTemp("", "bareroot-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cache, err := distro.CacheDir()
	if err != nil {
		return err
	}
	k, err := distro.Kernel(ctx, cache)
	if err != nil {
		return err
	}
	images, err := ours(ctx, o, k, dir)
	if err != nil {
		return err
	}
	base, err := baseline(k, dir)
	if err != nil {
		return err
	}
	images = append(images, base)
	for _, g := range given {
		i, err := parseImage(g)
		if err != nil {
			return err
		}
		images = append(images, i)
	}
	images = slices.DeleteFunc(images, func(i *image) bool { return o.only != "" && i.group != o.only })
	for _, i := range images {
		st, err := os.Stat(i.file)
		if err != nil {
			return err
		}
		i.mib, i.memory = float64(st.Size())/(1<<20), 512
		if i.group == "generic" {
			i.memory = 1024
		}
	}
	disk, err := root(ctx, dir)
	if err != nil {
		return err
	}
	m := machine{kernel: k.Image, disk: disk, words: o.words, show: o.show, bound: o.bound}
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("kernel %s, 1 CPU, q35, ext4 on virtio; load here before: %s", k.Version, load)
	for range o.runs {
		for _, i := range images {
			for kind := range 2 {
				if i.err != nil || o.exact && kind == 1 {
					continue
				}
				r, err := m.boot(ctx, i.file, i.memory, kind == 0)
				if ctx.Err() != nil {
					table(images) // what there is
					return ctx.Err()
				}
				if err != nil {
					i.err = err
					continue
				}
				i.marker[kind] = append(i.marker[kind], r.marker)
				i.user[kind] = append(i.user[kind], r.marker-r.init)
				i.free, i.modules = append(i.free, float64(r.free)/1024), r.modules
			}
		}
	}
	if o.memory {
		for _, i := range images {
			if i.err == nil {
				i.least = m.least(ctx, i.file)
			}
		}
	}
	table(images)
	return nil
}

// parseImage reads GROUP:NAME=FILE.
func parseImage(arg string) (*image, error) {
	group, rest, ok := strings.Cut(arg, ":")
	name, file, ok2 := strings.Cut(rest, "=")
	if !ok || !ok2 || group == "" || name == "" || file == "" {
		return nil, fmt.Errorf("%q: expected GROUP:NAME=FILE", arg)
	}
	return &image{group: group, name: name, file: file}, nil
}

// ours builds bareroot's ramdisks.
func ours(ctx context.Context, o options, k distro.Found, dir string) ([]*image, error) {
	var out []*image
	for _, c := range []struct {
		group string
		words []string
	}{
		{"minimal", []string{"--drivers", "virtio_pci virtio_blk ext4"}},
		{"plain", []string{"--drivers", "virtio_pci virtio_blk ext4", "--omit-feature", "shell"}},
		{"generic", nil},
	} {
		file := filepath.Join(dir, c.group+".img")
		args := append([]string{filepath.Join(o.bin, "bareroot"), "build", "--kernel", k.Image, "--modules-dir", k.ModulesDir, "--kver", k.Version, "-o", file}, c.words...)
		if _, err := hosttool.Run(ctx, args...); err != nil {
			return nil, err
		}
		out = append(out, &image{group: c.group, name: "bareroot", file: file})
	}
	return out, nil
}

// root makes the disk.
func root(ctx context.Context, dir string) (string, error) {
	tree := filepath.Join(dir, "root")
	for _, d := range []string{"sbin", "proc", "sys", "dev", "run", "tmp", "etc", "usr/lib", "bin", "lib"} {
		if err := os.MkdirAll(filepath.Join(tree, d), 0o755); err != nil {
			return "", err
		}
	}
	if _, err := hosttool.Run(ctx, "gcc", "-static", "-Os", "-s", "-Wall", "-o", filepath.Join(tree, "sbin/init"), "bench/boot/marker/marker.c"); err != nil {
		return "", fmt.Errorf("build the marker (run this in the checkout, with gcc): %w", err)
	}
	// Some makers' init wants to see that it is a root.
	for name, text := range map[string]string{"etc/os-release": "ID=bench\n", "lib/ld-linux.so.2": "", "usr/lib/os-release": "ID=bench\n"} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o755); err != nil {
			return "", err
		}
	}
	disk := filepath.Join(dir, "root.ext4")
	f, err := os.Create(disk)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := f.Truncate(64 << 20); err != nil {
		return "", err
	}
	_, err = hosttool.Run(ctx, "mkfs.ext4", "-q", "-F", "-L", "bench-root", "-d", tree, disk)
	return disk, err
}

func table(images []*image) {
	ref := map[string]*image{}
	for _, i := range images {
		if i.name == "bareroot" {
			ref[i.group] = i
		}
	}
	fmt.Printf("\n%-9s %-14s %8s  %-24s %-24s %6s  %-22s %-22s %7s %5s %6s\n", "", "", "", "10^9 instructions", "", "", "plain, seconds", "", "", "", "")
	fmt.Printf("%-9s %-14s %8s  %-24s %-24s %6s  %-22s %-22s %7s %5s %6s\n", "group", "ramdisk", "MiB", "kernel start to marker", "its init to marker", "ratio", "to marker", "its init to marker", "free", "mods", "least")
	for _, i := range images {
		if i.err == nil && len(i.marker[0]) == 0 {
			i.err = errors.New("interrupted")
		}
		if i.err != nil {
			fmt.Printf("%-9s %-14s %8.1f  not measured: %v\n", i.group, i.name, i.mib, i.err)
			continue
		}
		ratio := ""
		if r := ref[i.group]; r != nil && r != i && r.err == nil {
			ratio = fmt.Sprintf("%.2f", figures.Median(r.marker[0])/figures.Median(i.marker[0]))
		}
		least := ""
		if i.least > 0 {
			least = fmt.Sprint(i.least)
		}
		fmt.Printf("%-9s %-14s %8.1f  %-24s %-24s %6s  %-22s %-22s %7.1f %5d %6s\n", i.group, i.name, i.mib,
			figures.Spread(i.marker[0], 3), figures.Spread(i.user[0], 3), ratio, figures.Spread(i.marker[1], 3), figures.Spread(i.user[1], 3), figures.Median(i.free), i.modules, least)
	}
	fmt.Println("\nratio: bareroot's instructions to the marker over the other's, less is better. free: MiB when the marker runs, caches dropped. least: MiB of memory that still boot.")
}
