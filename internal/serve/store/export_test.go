package store

import (
	"context"
	"io/fs"
	"path"
	"testing/fstest"
)

// Pragma reads a pragma of the writer.
func Pragma(ctx context.Context, s *Store, name string) (v string, err error) {
	return v, s.write.QueryRowContext(ctx, `PRAGMA `+name).Scan(&v)
}

// OpenWith opens the store with one more migration.
func OpenWith(ctx context.Context, file, migration string) (*Store, error) {
	all := fstest.MapFS{"99999_later.sql": {Data: []byte(migration)}}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		b, err := fs.ReadFile(migrations, name)
		if err != nil {
			return nil, err
		}
		all[path.Base(name)] = &fstest.MapFile{Data: b}
	}
	return open(ctx, file, all)
}
