package build

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"bareroot/internal/build/cache"
	"bareroot/internal/version"
)

// ownProgram reads bareroot-init or bareroot-agent and refuses one of another
// build: the two and the server's segments must understand each other. One that
// passed before is not read again while the file is the same; then it comes
// without Data.
func (o *Options) ownProgram(what, path, flag string) (*program, error) {
	if path == "" {
		return nil, inputError{fmt.Errorf("bareroot-%s was not found beside this program nor in /usr/lib/bareroot; name it with %s", what, flag)}
	}
	key, size, known := fileKey("program", path, o.BuildID)
	if known {
		if arch, ok := o.Cache.Get(key); ok {
			return &program{Arch: string(arch), Static: true, Size: size}, nil
		}
	}
	p, err := readProgram(path)
	if err != nil {
		return nil, inputError{fmt.Errorf("read bareroot-%s: %w", what, err)}
	}
	if !p.Static {
		return nil, inputError{fmt.Errorf("bareroot-%s %s needs shared libraries; build it with make", what, path)}
	}
	id, err := version.OfContent(p.Data, path)
	switch {
	case err != nil && o.BuildID == "dev":
		// Programs run by go run and go test carry no id on either side.
	case err != nil:
		return nil, inputError{err}
	case id != o.BuildID:
		return nil, inputError{fmt.Errorf("bareroot-%s %s is of build %s, this program of build %s; build all of them together with make", what, path, id, o.BuildID)}
	}
	if known && o.Cache != nil {
		o.Cache.Put(key, []byte(p.Arch))
		p.Data = nil // as from now on: what reads it next learns its hash
	}
	return p, nil
}

// fileKey names what follows from a file as it is now, if it can be told that it
// is still the same, and gives its size.
func fileKey(kind, path, params string) (key cache.Key, size int64, known bool) {
	fi, err := os.Stat(path)
	if err != nil {
		return key, 0, false
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return key, 0, false
	}
	now := state(fi, time.Now())
	return cache.Key{Kind: kind, Content: sha256.Sum256([]byte(abs + "\n" + now)), Params: unitVersion + " " + params}, fi.Size(), now != ""
}
