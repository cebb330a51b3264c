// The boot-lease benchmark boots the demo's boot set and reads, in init's own
// words, how long after the start of PID 1 the DHCP lease was on the NIC.
//
//	go run ./bench/boot-lease [-runs 5] [-show]
//
// Each round boots twice: with QEMU's -icount, where guest time is the number
// of instructions (one a nanosecond) and other load on this machine does not
// count, and with plain TCG (or KVM) where guest time is this machine's. The NIC is a
// virtio NIC on QEMU's own user network, which answers DHCP at once. It needs
// QEMU, and a kernel as the lab's tests do (BAREROOT_CACHE). There is no peer.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/bench/figures"
	"bareroot/internal/lab/console"
	"bareroot/internal/lab/distro"
	"bareroot/internal/lab/qemu"
)

// bound is for one boot: emulated machines on busy cores are slow.
const bound = 4 * time.Minute

type options struct {
	bin, busybox, words string
	runs                int
	show                bool
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "directory with bareroot, bareroot-init and bareroot-agent")
	flag.StringVar(&o.busybox, "busybox", "/bin/busybox", "static busybox")
	flag.StringVar(&o.words, "append", "", "further words for the kernel's command line")
	flag.IntVar(&o.runs, "runs", 5, "boots of each kind")
	flag.BoolVar(&o.show, "show", false, "show the console up to the lease")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	if err := bench(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench boot-lease:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, o options) error {
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
	initrd := filepath.Join(dir, "initrd")
	// As the demo builds it.
	build := exec.CommandContext(ctx, filepath.Join(o.bin, "bareroot"), "build", "--kernel", k.Image, "--modules-dir", k.ModulesDir, "--kver", k.Version,
		"--busybox", o.busybox, "--role", "discover", "--role", "deploy", "-o", initrd)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("bareroot build: %w: %s", err, bytes.TrimSpace(out))
	}
	accel, err := qemu.Accel(ctx, func(context.Context) (string, error) { return k.Image, nil }, dir)
	if err != nil {
		return err
	}
	kinds := []struct {
		name string
		args []string
	}{
		{"icount", []string{"-accel", "tcg", "-icount", "shift=0,sleep=off", "-cpu", "max,la57=off"}},
		{accel.Accel, []string{"-accel", accel.Accel, "-cpu", map[bool]string{true: "host", false: "max,la57=off"}[accel.Accel == qemu.KVM]}},
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fi, err := os.Stat(initrd)
	if err != nil {
		return err
	}
	fmt.Printf("kernel %s, ramdisk %.1f MiB, 1 CPU, 1024 MiB, q35, virtio NIC; load here before: %s", k.Version, float64(fi.Size())/(1<<20), load)
	lease, init := make([][]float64, len(kinds)), make([][]float64, len(kinds))
	for i := range o.runs {
		for j, kind := range kinds {
			l, p, err := boot(ctx, o, k.Image, initrd, kind.args)
			if err != nil {
				return fmt.Errorf("%s, run %d: %w", kind.name, i+1, err)
			}
			lease[j], init[j] = append(lease[j], l), append(init[j], p)
			fmt.Printf("%-8s run %d: lease %.3f s after start of PID 1, %.2f s after that of the kernel\n", kind.name, i+1, l, p)
		}
	}
	for j, kind := range kinds {
		fmt.Printf("%-8s median [min-max] of %d: lease %s s after start of PID 1, %s s after that of the kernel\n", kind.name, o.runs, figures.Spread(lease[j], 3), figures.Spread(init[j], 3))
	}
	return nil
}

var (
	leased = regexp.MustCompile(`(?m)([0-9.]+)\D*lease \S+ on \S+ ([0-9.]+) s after start`)
	failed = regexp.MustCompile(`Kernel panic|this boot failed`)
)

// boot runs one machine up to its lease.
func boot(ctx context.Context, o options, kernel, initrd string, args []string) (lease, kernelTime float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	args = append([]string{"-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35,graphics=off", "-smp", "1", "-m", "1024",
		"-serial", "stdio", "-no-reboot", "-device", "virtio-rng-pci",
		"-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,romfile=",
		"-kernel", kernel, "-initrd", initrd,
		"-append", "console=ttyS0,115200 loglevel=4 panic=-1 rd.neednet=1 ip=dhcp root=live:http://10.0.2.2:9/none bareroot.live.insecure=1 " + o.words}, args...)
	cmd := exec.CommandContext(ctx, qemu.Program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	var log console.Stream
	read := make(chan error, 1)
	go func() { _, err := io.Copy(&log, out); log.End(err); read <- err }()
	got, err := log.Expect(ctx, regexp.MustCompile(leased.String()+"|"+failed.String()), bound)
	cancel()
	<-read
	_ = cmd.Wait() // ended by us
	if o.show {
		fmt.Println(log.Text())
	}
	if err == nil && got[2] == "" {
		err = errors.New(got[0])
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%w; %s; the console last said:\n%s", err, bytes.TrimSpace(complaint.Bytes()), log.Tail(20))
	}
	if kernelTime, err = strconv.ParseFloat(got[1], 64); err != nil {
		return 0, 0, fmt.Errorf("read the line %q: %w", got[0], err)
	}
	lease, err = strconv.ParseFloat(got[2], 64)
	return lease, kernelTime, err
}
