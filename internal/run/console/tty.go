package console

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Environment of programs started by init.
func Environment() []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=linux", "PS1=bareroot:\\w# ", "SHELL=/bin/sh"}
}

// OpenTTY opens the terminal of the last active console, or the one named.
// /dev/console itself cannot be a controlling terminal.
func OpenTTY(name string) (*os.File, error) {
	var tried []string
	if name == "" {
		b, _ := os.ReadFile("/sys/class/tty/console/active")
		if f := strings.Fields(string(b)); len(f) > 0 {
			name = f[len(f)-1]
		}
		// tty0 stands for the virtual terminal in front.
		if b, err := os.ReadFile("/sys/class/tty/tty0/active"); err == nil && name == "tty0" {
			name = strings.TrimSpace(string(b))
		}
	}
	for _, n := range []string{name, "console"} {
		if n == "" {
			continue
		}
		p := n
		if !strings.HasPrefix(p, "/") {
			p = filepath.Join("/dev", n)
		}
		fd, err := unix.Open(p, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err == nil {
			return os.NewFile(uintptr(fd), p), nil
		}
		tried = append(tried, fmt.Sprintf("%s: %v", p, err))
	}
	return nil, fmt.Errorf("open a console: %s", strings.Join(tried, "; "))
}

// WaitKey waits up to d for a key on tty and says whether one was pressed.
// each is called every second with the time left.
func WaitKey(tty *os.File, d time.Duration, each func(left time.Duration)) bool {
	fd := int(tty.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err == nil {
		raw := *old
		raw.Lflag &^= unix.ICANON | unix.ECHO
		raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
		_ = unix.IoctlSetTermios(fd, unix.TCSETS, &raw)
		_ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH)
		defer func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, old) }()
	}
	end := time.Now().Add(d)
	for {
		left := time.Until(end)
		if left <= 0 {
			return false
		}
		each(left)
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, int(min(left, time.Second).Milliseconds()))
		if err == nil && n > 0 {
			var b [64]byte
			k, rerr := unix.Read(fd, b[:])
			if k > 0 {
				return true
			}
			// A terminal that hung up is readable for ever without a key.
			if rerr != nil || k == 0 {
				time.Sleep(min(left, time.Second))
			}
		}
	}
}

// silence stops the terminal fd from showing what is typed, and forgets what
// was typed before. It fails on what is no terminal.
func silence(fd int) (restore func(), err error) {
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	t := *old
	t.Lflag = t.Lflag&^(unix.ECHO|unix.ECHOE|unix.ECHOK) | unix.ICANON | unix.ECHONL
	t.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &t); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETSF, old) }, nil
}
