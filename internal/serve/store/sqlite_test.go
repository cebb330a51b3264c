package store_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/api"
	"bareroot/internal/serve/store"
	"bareroot/internal/serve/store/storetest"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		// A name that would be taken apart if it were not escaped.
		s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "a?b#c%20 d.db"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestDurability(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the store is readable by others: %v %v", st.Mode(), err)
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000", "secure_delete": "1"} {
		got, err := store.Pragma(t.Context(), s, pragma)
		if err != nil || got != want {
			t.Errorf("%s is %s, want %s (%v)", pragma, got, want, err)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err = store.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "newer bareroot") {
		t.Errorf("error %v", err)
	}
}

func TestMigrationBacksUpFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	put := func(s *store.Store, v string) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.PutSetting("k", v) }); err != nil {
			t.Fatal(err)
		}
	}
	put(s, "before")
	s.Close()
	if s, err = store.OpenWith(t.Context(), path, "-- +goose Up\nCREATE TABLE later (x TEXT);\n"); err != nil {
		t.Fatal(err)
	}
	put(s, "after")
	s.Close()
	backups, err := filepath.Glob(path + ".schema[1-9]*-*")
	if err != nil || len(backups) != 1 {
		t.Fatal(backups, err)
	}
	old, err := store.Open(context.Background(), backups[0])
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	err = old.View(t.Context(), func(tx *store.Tx) error {
		v, err := tx.Setting("k")
		if v != "before" {
			t.Errorf("the backup says %q", v)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFullDisk: the reason reaches the caller, nothing is half done, and it
// works again when there is room.
func TestFullDisk(t *testing.T) {
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(id string) error {
		return s.Update(t.Context(), func(tx *store.Tx) error {
			return tx.PutMachine(store.Machine{ID: id, Name: id, Message: strings.Repeat("x", 1<<20)})
		})
	}
	if err := put("m-1"); err != nil {
		t.Fatal(err)
	}
	pages, err := store.Pragma(t.Context(), s, "page_count")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Pragma(t.Context(), s, "max_page_count="+pages); err != nil {
		t.Fatal(err)
	}
	err = put("m-2")
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != 507 || !strings.Contains(p.Detail, "full") {
		t.Errorf("error %v, want a problem 507", err)
	}
	if _, err := store.Pragma(t.Context(), s, "max_page_count=1000000"); err != nil {
		t.Fatal(err)
	}
	if err := put("m-3"); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	if err := s.View(t.Context(), func(tx *store.Tx) error {
		ms, err := tx.Machines()
		if len(ms) != 2 {
			t.Errorf("%d machines", len(ms))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
