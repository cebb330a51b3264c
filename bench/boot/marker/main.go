// Marker is the init of the root that the boot benchmark boots into: it says
// when it was started, by the guest's clock, when the kernel had started the
// ramdisk's init, what memory is free, and switches the machine off.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // cannot fail
	for _, m := range [][2]string{{"proc", "/proc"}, {"devtmpfs", "/dev"}} {
		if _, err := os.Stat(m[1] + map[string]string{"proc": "/meminfo", "devtmpfs": "/console"}[m[0]]); err != nil {
			_ = unix.Mount(m[0], m[1], m[0], 0, "") // without it, the lines below say so
		}
	}
	out, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
	if err != nil {
		out = os.Stdout
	}
	// What the ramdisk left in memory, not what the kernel has cached.
	_ = os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0)
	mods, _ := os.ReadFile("/proc/modules")
	fmt.Fprintf(out, "\nBENCH-MARKER boot=%.6f init=%s free=%d modules=%d\n",
		float64(now.Nano())/1e9, initStart(), free(), strings.Count(string(mods), "\n"))
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {} // a machine that cannot be switched off must not panic
}

// initStart is the time of the kernel's line "Run /init as init process", in
// seconds; "0" if the log has lost it.
func initStart() string {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "0"
	}
	defer unix.Close(fd)
	buf := make([]byte, 8192)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EPIPE {
			continue
		}
		if err != nil || n == 0 {
			return "0"
		}
		head, text, _ := strings.Cut(string(buf[:n]), ";")
		if strings.HasPrefix(text, "Run /init as init process") {
			if f := strings.Split(head, ","); len(f) > 2 {
				us := f[2]
				us = strings.Repeat("0", max(0, 7-len(us))) + us
				return us[:len(us)-6] + "." + us[len(us)-6:]
			}
		}
	}
}

// free is MemFree in KiB.
func free() int {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "MemFree:"); ok {
			_, _ = fmt.Sscanf(v, "%d", &n)
		}
	}
	return n
}
