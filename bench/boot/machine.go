package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"bareroot/internal/cpio"
	"bareroot/internal/kmod"
	"bareroot/internal/lab/console"
	"bareroot/internal/lab/distro"
	"bareroot/internal/lab/qemu"
)

// machine boots ramdisks.
type machine struct {
	kernel, disk, words string
	show                bool
	bound               time.Duration // for one boot
}

type result struct {
	marker, init float64 // seconds of the guest's clock
	free         int     // KiB
	modules      int
}

// said is the marker's line, or what a boot says that will not get there: the
// kernel, bareroot, dracut, initramfs-tools.
var said = regexp.MustCompile(`BENCH-MARKER boot=([0-9.]+) init=([0-9.]+) free=(\d+) modules=(\d+)|Kernel panic[^\n]*|this boot failed[^\n]*|[^\n]*(?:emergency mode|Could not boot|ALERT!)[^\n]*`)

// parse reads a match of said.
func parse(m []string) (result, error) {
	if m[1] == "" {
		return result{}, errors.New(strings.TrimSpace(m[0]))
	}
	var r result
	for i, p := range []any{&r.marker, &r.init, &r.free, &r.modules} {
		if _, err := fmt.Sscan(m[i+1], p); err != nil {
			return result{}, fmt.Errorf("read %q: %w", m[0], err)
		}
	}
	return r, nil
}

// boot runs one guest to its marker.
func (m machine) boot(ctx context.Context, initrd string, memory int, icount bool) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, m.bound)
	defer cancel()
	args := []string{"-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35,graphics=off", "-cpu", "max,la57=off", "-smp", "1", "-m", strconv.Itoa(memory),
		"-accel", "tcg", "-serial", "stdio", "-no-reboot", "-nic", "none", "-kernel", m.kernel, "-initrd", initrd,
		"-drive", "if=none,id=d0,format=raw,snapshot=on,file=" + m.disk, "-device", "virtio-blk-pci,drive=d0",
		"-append", "console=ttyS0,115200 quiet no_timer_check log_buf_len=4M panic=-1 root=/dev/vda rootfstype=ext4 ro init=/sbin/init " + m.words}
	if icount {
		args = append(args, "-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm")
	}
	cmd := exec.CommandContext(ctx, qemu.Program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return result{}, err
	}
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		return result{}, err
	}
	var log console.Stream
	read := make(chan struct{})
	go func() { defer close(read); _, err := io.Copy(&log, out); log.End(err) }()
	got, err := log.Expect(ctx, said, m.bound)
	cancel()
	<-read
	_ = cmd.Wait() // ended by us, or by itself
	if m.show {
		fmt.Println(log.Text())
	}
	var r result
	if err == nil {
		r, err = parse(got)
	}
	if err != nil {
		return result{}, fmt.Errorf("no marker: %w; %s; the console last said: %s", err, bytes.TrimSpace(complaint.Bytes()), strings.ReplaceAll(log.Tail(3), "\n", " | "))
	}
	return r, nil
}

// least is the smallest memory, in steps of 16 MiB, with which the ramdisk
// still boots; 0 if it boots with none that was tried.
func (m machine) least(ctx context.Context, initrd string) int {
	low, high := 64/16, 1088/16 // low does not boot, high does
	for high-low > 1 {
		mid := (low + high) / 2
		if _, err := m.boot(ctx, initrd, mid*16, true); err == nil {
			high = mid
		} else {
			low = mid
		}
		if ctx.Err() != nil {
			return 0
		}
	}
	return high * 16
}

// baseline is a ramdisk of a shell that loads the same modules as the minimal
// one and leaves nothing behind: what is free after it is what is free after a
// boot without a ramdisk with those modules built in, to within the modules.
func baseline(k distro.Found, dir string) (*image, error) {
	x, err := kmod.Load(k.ModulesDir)
	if err != nil {
		return nil, err
	}
	files, err := x.Closure("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
	if err != nil {
		return nil, err
	}
	box, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, fmt.Errorf("%w: install busybox-static", err)
	}
	path := filepath.Join(dir, "baseline.img")
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := zstd.NewWriter(f)
	if err != nil {
		return nil, err
	}
	w := cpio.NewWriter(z)
	script := "#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs dev /dev\n"
	errs := []error{w.Dir("bin", 0o755), w.Dir("dev", 0o755), w.Dir("root", 0o755), w.Dir("m", 0o755), w.File("bin/busybox", 0o755, box)}
	for i, file := range files {
		b, err := os.ReadFile(filepath.Join(k.ModulesDir, file))
		name := fmt.Sprintf("m/%d.ko", i)
		errs = append(errs, err, w.File(name, 0o644, b))
		script += "/bin/busybox insmod /" + name + "\n"
	}
	// A disk is found while its driver loads; the shell has no events to wait for.
	script += "until [ -b /dev/vda ]; do /bin/busybox usleep 1000; done\n/bin/busybox mount -t ext4 -o ro /dev/vda /root && /bin/busybox mount --move /dev /root/dev && exec /bin/busybox switch_root /root /sbin/init\n"
	errs = append(errs, w.File("init", 0o755, []byte(script)), w.Close(), z.Close())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &image{group: "minimal", name: "nothing left", file: path}, nil
}
