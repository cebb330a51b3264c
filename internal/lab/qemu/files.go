package qemu

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// prepare makes what lasts over all power cycles. Disks that exist are kept.
func (m *Machine) prepare() error {
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return err
	}
	for i, d := range m.spec.Disks {
		if d.Path != "" {
			if _, err := os.Stat(m.DiskPath(i)); err != nil {
				return fmt.Errorf("disk %d: %w", i, err)
			}
			continue
		}
		if err := sparse(m.DiskPath(i), int64(d.Size)); err != nil {
			return fmt.Errorf("disk %d: %w", i, err)
		}
	}
	// The log of the lab's last run is kept once.
	if err := os.Rename(m.ConsoleLog(), m.ConsoleLog()+".old"); err != nil && !os.IsNotExist(err) {
		return err
	}
	log, err := os.OpenFile(m.ConsoleLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := log.Close(); err != nil {
		return err
	}
	return m.listen()
}

// listen makes the console's socket. A name longer than the 108 bytes of a
// socket address is reached through its open directory.
func (m *Machine) listen() error {
	if err := os.Remove(m.ConsoleSocket()); err != nil && !os.IsNotExist(err) {
		return err
	}
	dir, err := os.Open(m.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	short := filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), consoleName)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return fmt.Errorf("make console socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // its name is through a directory closed by then
	m.console = l
	m.sock, err = l.File()
	return err
}

// refresh makes what each power-on needs anew.
func (m *Machine) refresh() error {
	if m.spec.Firmware == UEFI {
		vars := filepath.Join(m.dir, varsName)
		if _, err := os.Stat(vars); err != nil || !m.spec.KeepVars {
			if err := copyFiles(vars, ovmfVars); err != nil {
				return fmt.Errorf("copy UEFI variables (package ovmf): %w", err)
			}
		}
	}
	if m.spec.Firmware == Direct && len(m.spec.Initrds) > 0 {
		if err := copyFiles(filepath.Join(m.dir, initrdName), m.spec.Initrds...); err != nil {
			return fmt.Errorf("join ramdisks: %w", err)
		}
	}
	return nil
}

// copyFiles joins files into one, each starting on a 4-byte boundary, as the
// kernel wants its ramdisk segments.
func copyFiles(dst string, srcs ...string) (err error) {
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}()
	for _, s := range srcs {
		in, err := os.Open(s)
		if err != nil {
			return err
		}
		n, err := io.Copy(out, in)
		in.Close()
		if err != nil {
			return err
		}
		if _, err := out.Write(make([]byte, (4-n%4)%4)); err != nil {
			return err
		}
	}
	return nil
}

// sparse makes an empty disk, unless one of that size is there.
func sparse(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size() != 0 && st.Size() != size {
		return fmt.Errorf("%s has %d bytes, the configuration says %d; remove it to get a new one", path, st.Size(), size)
	}
	return f.Truncate(size)
}

// DialConsole connects to a console's socket, however long its name is.
func DialConsole(path string) (net.Conn, error) {
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Dir(path), err)
	}
	defer unix.Close(fd)
	return net.Dial("unix", filepath.Join("/proc/self/fd", strconv.Itoa(fd), filepath.Base(path)))
}
