// Package store keeps the server's state: rows in, rows out, in
// transactions. It knows no rules; package inventory has them, by way of
// package order.
//
// Open gives the SQLite store. Its durability is meant to survive kill -9
// and a power cut at any instant: a write-ahead log with synchronous=FULL,
// one writer. The SQL is kept to what PostgreSQL also understands, and
// storetest holds what any store must do.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrNotFound is returned for a row that is not there.
var ErrNotFound = errors.New("not found")

// Store is an open store.
type Store struct {
	write, read *sql.DB
	path        string
}

// Update runs f in a transaction that may write. It is committed if f
// returns nil; f must not keep the Tx.
func (s *Store) Update(ctx context.Context, f func(*Tx) error) error {
	return full(run(ctx, s.write, f))
}

// View runs f in a transaction that sees one state of the store.
func (s *Store) View(ctx context.Context, f func(*Tx) error) error {
	return run(ctx, s.read, f)
}

func run(ctx context.Context, db *sql.DB, f func(*Tx) error) error {
	t, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	if err := f(&Tx{ctx: ctx, tx: t}); err != nil {
		// The error of f is what counts: a failed rollback leaves nothing behind.
		_ = t.Rollback()
		return err
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	return nil
}

// Close closes the store.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// Tx is a transaction.
type Tx struct {
	ctx context.Context
	tx  *sql.Tx
}

func (t *Tx) exec(what, q string, args ...any) error {
	_, err := t.tx.ExecContext(t.ctx, q, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

type scanner interface{ Scan(...any) error }

// one reads a single row; ErrNotFound if there is none.
func one[T any](t *Tx, what string, scan func(scanner) (T, error), q string, args ...any) (T, error) {
	v, err := scan(t.tx.QueryRowContext(t.ctx, q, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return v, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if err != nil {
		return v, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

// many reads all rows.
func many[T any](t *Tx, what string, scan func(scanner) (T, error), q string, args ...any) ([]T, error) {
	rows, err := t.tx.QueryContext(t.ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return out, nil
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// Count returns the next value of a counter, from 1.
func (t *Tx) Count(name string) (int64, error) {
	return one(t, "count "+name, func(r scanner) (n int64, err error) { return n, r.Scan(&n) },
		`INSERT INTO counters (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value`, name)
}

// Setting reads a setting, "" if it was never put.
func (t *Tx) Setting(name string) (string, error) {
	v, err := one(t, "setting "+name, func(r scanner) (v string, err error) { return v, r.Scan(&v) },
		`SELECT value FROM settings WHERE name = ?`, name)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return v, err
}

// PutSetting writes a setting.
func (t *Tx) PutSetting(name, value string) error {
	return t.exec("put setting "+name, `INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
}
