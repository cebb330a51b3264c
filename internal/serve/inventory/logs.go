package inventory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"bareroot/internal/serve/store"
)

// maxLog bounds what is kept of one boot's console log.
const maxLog = 1 << 20

func (s *Service) logDir(machine string) string {
	return filepath.Join(s.cfg.StateDir, "logs", machine)
}

func (s *Service) logPath(machine, bootID string) string {
	return filepath.Join(s.logDir(machine), bootID+".log")
}

// Log takes in a piece of the boot's console log that starts at offset. The
// same piece again is harmless. What lies beyond 1 MiB is not kept; the
// events tell the rest of the story.
func (s *Service) Log(ctx context.Context, ss *Session, offset int64, data []byte) error {
	if offset < 0 {
		return bad("log: offset %d", offset)
	}
	if err := s.store.View(ctx, func(t *store.Tx) error { _, err := current(t, ss); return err }); err != nil {
		return err
	}
	if offset >= maxLog {
		return nil
	}
	data = data[:min(int64(len(data)), maxLog-offset)]
	s.logMu.Lock()
	defer s.logMu.Unlock()
	if err := os.MkdirAll(s.logDir(ss.Machine), 0o700); err != nil {
		return fmt.Errorf("keep log of %s: %w", ss.Machine, err)
	}
	// Written in place and not synced: a piece that a power cut takes reads
	// as zeros, which Logs leaves out.
	f, err := os.OpenFile(s.logPath(ss.Machine, ss.BootID), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep log of %s: %w", ss.Machine, err)
	}
	if _, err := f.WriteAt(data, offset); err != nil {
		f.Close()
		return fmt.Errorf("keep log of %s: %w", ss.Machine, err)
	}
	return f.Close()
}

// Logs is the console log of a boot, the newest one if bootID is empty.
func (s *Service) Logs(ctx context.Context, ref, bootID string) (io.ReadCloser, error) {
	var path string
	err := s.store.View(ctx, func(t *store.Tx) error {
		m, err := find(t, ref)
		if err != nil {
			return err
		}
		boots, err := t.Boots(m.ID)
		if err != nil {
			return err
		}
		for _, b := range boots {
			if b.BootID == "" || bootID != "" && b.BootID != bootID {
				continue
			}
			p := s.logPath(m.ID, b.BootID)
			if _, err := os.Stat(p); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			path = p
			return nil
		}
		if bootID != "" {
			return problem(404, "machine %s has no log of boot %.64q", m.Name, bootID)
		}
		return problem(404, "machine %s has sent no log yet", m.Name)
	})
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	return &textFile{f}, nil
}

// textFile leaves out zeros: holes of pieces that never came.
type textFile struct{ f *os.File }

func (t *textFile) Close() error { return t.f.Close() }

func (t *textFile) Read(b []byte) (int, error) {
	for {
		n, err := t.f.Read(b)
		k := 0
		for _, c := range b[:n] {
			if c != 0 {
				b[k] = c
				k++
			}
		}
		if k > 0 || err != nil || len(b) == 0 {
			return k, err
		}
	}
}
