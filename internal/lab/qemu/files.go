package qemu

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"bareroot/internal/lab/sock"
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

// listen makes the console's socket, which outlives each QEMU.
func (m *Machine) listen() (err error) {
	if m.console, err = sock.Listen(m.ConsoleSocket()); err != nil {
		return err
	}
	m.sock, err = m.console.File()
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
