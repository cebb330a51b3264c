package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // also the database/sql driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"bareroot/api"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens the SQLite store at path and migrates it. A store that a newer
// program wrote is refused; before a migration the file is copied beside
// itself.
func Open(ctx context.Context, path string) (*Store, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return open(ctx, path, sub)
}

func open(ctx context.Context, path string, migrations fs.FS) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	// The store holds frozen segments, which carry secrets: created 0600
	// before SQLite makes it by the umask (its -wal and -shm follow it).
	f, err := os.OpenFile(abs, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	f.Close()
	// secure_delete: a secret that was dropped is also gone from the file.
	const pragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(ON)&_pragma=secure_delete(ON)"
	write, err := sql.Open("sqlite", dsn(abs, pragmas+"&_txlock=immediate"))
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if err := migrate(ctx, write, abs, migrations); err != nil {
		write.Close()
		return nil, err
	}
	read, err := sql.Open("sqlite", dsn(abs, pragmas+"&_pragma=query_only(1)"))
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	read.SetMaxOpenConns(4)
	return &Store{write: write, read: read, path: abs}, nil
}

func dsn(path, query string) string {
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query}).String()
}

func migrate(ctx context.Context, db *sql.DB, path string, migrations fs.FS) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, migrations)
	if err != nil {
		return fmt.Errorf("migrate store %s: %w", path, err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrate store %s: %w", path, err)
	}
	switch {
	case have > want:
		return fmt.Errorf("store %s has schema %d, this program knows up to %d: it was written by a newer bareroot; use that one, or go back to a backup beside it", path, have, want)
	case have == want:
		return nil
	case have > 0:
		backup := fmt.Sprintf("%s.schema%d-%s", path, have, time.Now().UTC().Format("20060102T150405"))
		if err := vacuumInto(ctx, db, backup); err != nil {
			return fmt.Errorf("back up store %s before its migration: %w", path, err)
		}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate store %s from schema %d to %d: %w", path, have, want, err)
	}
	return nil
}

// vacuumInto copies the live database into a file that is complete and on
// the disk when it returns.
func vacuumInto(ctx context.Context, db *sql.DB, to string) error {
	tmp := to + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, tmp); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(tmp, to)
}

// full marks an error that says that the disk has no room.
func full(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_FULL {
		return fullError{err}
	}
	return err
}

// fullError is a disk without room: what was asked for was not done, and may
// be asked for again.
type fullError struct{ error }

func (e fullError) Unwrap() []error {
	return []error{e.error, &api.Problem{
		Title: "Insufficient Storage", Status: 507,
		Detail: "the disk of the server's state directory is full; make room on it and try again",
	}}
}
