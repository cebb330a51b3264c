package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"bareroot/internal/build/cache"
)

// knownFiles are the hashes of a sysroot's larger files, which need not be read
// again while they are the same.
type knownFiles struct{ tree *tree }

// worthKnowing is the size from which on reading takes longer than remembering.
const worthKnowing = 64 << 10

// maxKnown bounds what is remembered; then it begins anew.
const maxKnown = 10000

func openKnown(c *cache.Cache, sysroot string) *knownFiles {
	k := &knownFiles{openTree(c, sysroot, "files")}
	if len(k.tree.known) > maxKnown {
		clear(k.tree.known)
	}
	return k
}

func (k *knownFiles) save() error { return k.tree.save() }

// sums are the hashes of the contents of items; nil where there is none.
func (k *knownFiles) sums(ctx context.Context, items []item) ([][]byte, error) {
	out := make([][]byte, len(items))
	for i := range items {
		it := &items[i]
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		switch {
		case !it.regular():
		case it.Data != nil || it.From == "":
			sum := sha256.Sum256(it.Data)
			out[i] = sum[:]
		default:
			var err error
			if out[i], err = k.sum(it.From); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// look returns the hash of a file if it is known, and what to call with it when
// the file has been read after all.
func (k *knownFiles) look(name string) (sum []byte, learn func([]byte), err error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, nil, inputError{err}
	}
	if name, err = filepath.Abs(name); err != nil {
		return nil, nil, err
	}
	if facts, ok := k.tree.get(name, fi); ok {
		if known, err := unhex(facts.SHA256); err == nil {
			sum = known[:]
		}
	}
	return sum, func(sum []byte) {
		k.tree.put(name, fi, moduleFacts{SHA256: hex.EncodeToString(sum), Size: fi.Size()})
	}, nil
}

func (k *knownFiles) sum(name string) ([]byte, error) {
	sum, learn, err := k.look(name)
	if sum != nil || err != nil {
		return sum, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, inputError{err}
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if n >= worthKnowing {
		learn(h.Sum(nil))
	}
	return h.Sum(nil), nil
}
