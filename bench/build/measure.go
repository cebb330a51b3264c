package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"bareroot/bench/figures"
)

// slow is what a build must take to have fewer rounds.
const slow = 10 * time.Second

// subject is one program with one command line.
type subject struct {
	name string
	// before is done before each build and not timed; nil for nothing.
	before func(ctx context.Context) error
	args   func(round int) []string // without the output
	// output makes the output's words of the command line.
	output func(file string) []string
	env    []string
	dir    string
	first  func(ctx context.Context, file string) error // once, before all rounds
	why    string                                       // why it is not measured

	samples []sample
	size    int64
}

type sample struct {
	wall, cpu float64 // seconds
	memory    float64 // MiB of the largest process
}

// last puts the output behind the other words, the way most programs want it.
func last(words ...string) func(string) []string {
	return func(file string) []string { return append(slices.Clone(words), file) }
}

// same is a command line that does not change from round to round.
func same(words ...string) func(int) []string { return func(int) []string { return words } }

func (s *settings) rounds(ctx context.Context, subjects []*subject) error {
	file := filepath.Join(s.tmp, "out")
	for _, sub := range subjects {
		if sub.why == "" && sub.first != nil {
			if err := errors.Join(os.RemoveAll(file), sub.first(ctx, file)); err != nil {
				sub.why = err.Error()
			}
		}
	}
	for round := range s.runs {
		for _, sub := range subjects {
			if sub.why != "" || round >= s.slowRuns && len(sub.samples) > 0 && sub.samples[0].wall > slow.Seconds() {
				continue
			}
			if err := os.RemoveAll(file); err != nil {
				return err
			}
			if sub.before != nil {
				if err := sub.before(ctx); err != nil {
					return err
				}
			}
			// What others left to write would be written by the first fsync.
			syscall.Sync()
			if s.cold {
				if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
					return fmt.Errorf("drop the page cache: %w", err)
				}
			}
			one, err := sub.run(ctx, round, file)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil {
				sub.size, err = sizeOf(file)
			}
			if err != nil {
				sub.why, sub.samples = err.Error(), nil
				continue
			}
			sub.samples = append(sub.samples, one)
			if s.keep != "" && round == 0 {
				if err := s.keepFile(sub.name, file); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// keepFile copies what was built to -keep, under the case's and the program's
// name in letters, digits and hyphens.
func (s *settings) keepFile(name, file string) error {
	fi, err := os.Stat(file)
	if err != nil || fi.IsDir() {
		return err
	}
	clean := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.'
	})
	// Renamed or linked, not read: what this process holds in memory would count
	// as that of the programs it starts.
	to := filepath.Join(s.keep, s.current+"-"+strings.Join(clean, "-")+".img")
	if err := errors.Join(os.RemoveAll(to), os.Link(file, to)); err != nil {
		return fmt.Errorf("keep what was built (in a folder of the file system of TMPDIR): %w", err)
	}
	return nil
}

func (sub *subject) run(ctx context.Context, round int, file string) (sample, error) {
	args := append(slices.Clone(sub.args(round)), sub.output(file)...)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = sub.dir, append(os.Environ(), sub.env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start).Seconds()
	if err != nil {
		text := strings.TrimSpace(errs.String())
		return sample{}, fmt.Errorf("%s: %w: %s", filepath.Base(args[0]), err, text[max(0, len(text)-200):])
	}
	// All of these hold what was waited for below the program, too.
	used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return sample{}, errors.New("this system does not tell what a process used")
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return sample{wall, cpu.Seconds(), float64(used.Maxrss) / 1024}, nil
}

// sizeOf is what is downloaded: a file, or a boot set without its kernel and
// descriptions.
func sizeOf(name string) (n int64, err error) {
	err = filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(p) == "vmlinuz" || strings.HasSuffix(p, ".json") {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			n += fi.Size()
		}
		return err
	})
	return n, err
}

func printTable(subjects []*subject) {
	fmt.Println("| | CPU s | wall s | memory MiB | size MiB | runs | first line / this: CPU, wall, size |")
	fmt.Println("|---|---|---|---|---|---|---|")
	var base *subject // the first that was measured
	for _, sub := range subjects {
		if len(sub.samples) == 0 {
			fmt.Printf("| %s | not measured: %s | | | | | |\n", sub.name, strings.Join(strings.Fields(sub.why), " "))
			continue
		}
		ratio := ""
		if base == nil {
			base = sub
		} else {
			ratio = fmt.Sprintf("%.3f, %.3f, %.2f", base.median(cpuOf)/sub.median(cpuOf), base.median(wallOf)/sub.median(wallOf), float64(base.size)/float64(sub.size))
		}
		fmt.Printf("| %s | %s | %s | %.0f | %s | %d | %s |\n", sub.name, sub.spread(cpuOf), sub.spread(wallOf),
			slices.Max(sub.column(memoryOf)), mib(sub.size), len(sub.samples), ratio)
	}
}

func cpuOf(s sample) float64    { return s.cpu }
func wallOf(s sample) float64   { return s.wall }
func memoryOf(s sample) float64 { return s.memory }

func (sub *subject) column(of func(sample) float64) []float64 {
	var out []float64
	for _, x := range sub.samples {
		out = append(out, of(x))
	}
	return out
}

func (sub *subject) median(of func(sample) float64) float64 { return figures.Median(sub.column(of)) }

func (sub *subject) spread(of func(sample) float64) string {
	return figures.Spread(sub.column(of), 2)
}

func mib(n int64) string { return fmt.Sprintf("%.2f", float64(n)/(1<<20)) }

func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	_, after, _ := strings.Cut(string(b), "model name")
	line, _, _ := strings.Cut(after, "\n")
	return strings.Trim(line, " \t:")
}
