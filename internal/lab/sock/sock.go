// Package sock makes and finds unix sockets below directories with long
// names: a socket's address holds 107 characters, but a name relative to an
// open directory (/proc/self/fd/N/NAME) is always short.
package sock

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Listen makes the socket path, in the place of a stale one.
func Listen(path string) (*net.UnixListener, error) {
	var l *net.UnixListener
	err := short(path, func(name string) error {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return err
		}
		var err error
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make socket %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // it knows itself by a name that is gone by then
	return l, nil
}

// Dial connects to the socket path.
func Dial(path string) (net.Conn, error) {
	var c net.Conn
	err := short(path, func(name string) (err error) {
		c, err = net.Dial("unix", name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return c, nil
}

func short(path string, use func(string) error) error {
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return use(filepath.Join("/proc/self/fd", strconv.Itoa(dir), filepath.Base(path)))
}
