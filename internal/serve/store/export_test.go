package store

import (
	"context"
	"io/fs"
	"testing/fstest"
)

// Pragma reads a pragma of the writer.
func Pragma(ctx context.Context, s *Store, name string) (v string, err error) {
	return v, s.write.QueryRowContext(ctx, `PRAGMA `+name).Scan(&v)
}

// OpenWith opens the store with one more migration.
func OpenWith(ctx context.Context, path, migration string) (*Store, error) {
	all := fstest.MapFS{"00002_later.sql": {Data: []byte(migration)}}
	const first = "00001_start.sql"
	b, err := fs.ReadFile(migrations, "migrations/"+first)
	if err != nil {
		return nil, err
	}
	all[first] = &fstest.MapFile{Data: b}
	return open(ctx, path, all)
}
