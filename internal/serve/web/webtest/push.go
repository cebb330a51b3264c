package webtest

import (
	"context"
	"fmt"
	"io"

	"bareroot/api"
)

// Push records what it is asked.
func (f *Inventory) Push(_ context.Context, name string, r api.PushRequest) (*api.PushReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.record("push %s keep=%d", name, r.Keep)
	return &api.PushReply{Missing: []api.Blob{{SHA256: "ab", Size: 2}}}, nil
}

// PutBlob reads the body and records it.
func (f *Inventory) PutBlob(_ context.Context, sum string, body io.Reader) error {
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.record("blob %s %d bytes", sum, len(b))
	return nil
}

// Generations has one of the sample boot sets.
func (f *Inventory) Generations(_ context.Context, name string) ([]api.Generation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.sets {
		if b.Name == name {
			return []api.Generation{{Number: 1, ID: b.ID, Kernel: b.Kernel, Current: true, Added: b.Added}}, nil
		}
	}
	return nil, problem(404, "there is no boot set %q", name)
}

// BootSetFiles has the same file for each of the sample boot sets.
func (f *Inventory) BootSetFiles(_ context.Context, name, fits string) ([]api.BootFile, error) {
	if _, err := f.set(name, "files that fit "+fits+" of"); err != nil {
		return nil, err
	}
	return []api.BootFile{{Path: "init", Why: "PID 1"}}, nil
}

// Rollback records what it is asked.
func (f *Inventory) Rollback(_ context.Context, name string, r api.RollbackRequest) (*api.BootSet, error) {
	return f.set(name, fmt.Sprintf("rollback to %d of", r.To))
}
