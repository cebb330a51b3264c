package console

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Environment of programs started by init.
func Environment() []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=linux", "PS1=bareroot:\\w# ", "SHELL=/bin/sh"}
}

// OpenTTY opens the terminal with a name below /dev, as one that a program can
// have.
func OpenTTY(name string) (*os.File, error) {
	p := filepath.Join("/dev", name)
	// Nonblocking only for the moment: a serial line would wait for its carrier.
	fd, err := unix.Open(p, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open console %s: %w", p, err)
	}
	_ = unix.SetNonblock(fd, false)
	return os.NewFile(uintptr(fd), p), nil
}

// OpenLast opens the terminal of the last active console. /dev/console itself
// cannot be a controlling terminal.
func (t *Terminals) OpenLast() (*os.File, error) {
	names := t.Names()
	return OpenTTY(names[len(names)-1])
}

// lineMode makes the terminal fd hand over whole lines, shown as they are
// typed or not, and forgets what was typed before. It fails on what is no
// terminal. With endless no key ends the input: who asks on a terminal asks
// there once.
func lineMode(fd int, shown, endless bool) (restore func(), err error) {
	return mode(fd, func(t *unix.Termios) {
		t.Lflag = t.Lflag&^(unix.ECHO|unix.ECHOE|unix.ECHOK) | unix.ICANON | unix.ECHONL
		if shown {
			t.Lflag |= unix.ECHO | unix.ECHOE | unix.ECHOK
		}
		t.Iflag |= unix.ICRNL
		if endless {
			t.Cc[unix.VEOF] = 0 // none
		}
	})
}

// keyMode makes it hand over each key.
func keyMode(fd int) (restore func(), err error) {
	return mode(fd, func(t *unix.Termios) {
		t.Lflag &^= unix.ICANON | unix.ECHO
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	})
}

func mode(fd int, change func(*unix.Termios)) (restore func(), err error) {
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	t := *old
	change(&t)
	// Not by TCSETSF, which waits until the terminal has taken all that was written.
	_ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH)
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &t); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, old) }, nil
}
