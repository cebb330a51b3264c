package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
	"bareroot/internal/bootset"
	"bareroot/internal/serve/order"
)

// pushDir pushes a boot set's directory as a client does, and says how many
// files it had to send.
func (b *bench) pushDir(name, dir string, r api.PushRequest) (*api.PushReply, int) {
	b.t.Helper()
	r = b.request(dir, r)
	sent := 0
	for range 3 {
		reply, err := b.Push(b.ctx, name, r)
		if err != nil {
			b.t.Fatal(err)
		}
		if reply.BootSet != nil {
			return reply, sent
		}
		for _, m := range reply.Missing {
			if err := b.PutBlob(b.ctx, m.SHA256, strings.NewReader(b.content(dir, m.SHA256))); err != nil {
				b.t.Fatal(err)
			}
			sent++
		}
	}
	b.t.Fatal("the server asks for ever")
	return nil, 0
}

func (b *bench) request(dir string, r api.PushRequest) api.PushRequest {
	b.t.Helper()
	doc, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Manifest = doc
	return r
}

// content finds the file of a directory by its hash.
func (b *bench) content(dir, sum string) string {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			b.t.Fatal(err)
		}
		if got := sha256.Sum256(data); hex.EncodeToString(got[:]) == sum {
			return string(data)
		}
	}
	b.t.Fatalf("%s has no file with sha256 %s", dir, sum)
	return ""
}

func (b *bench) numbers(name string) (all []int, current int) {
	b.t.Helper()
	gs, err := b.Generations(b.ctx, name)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, g := range gs {
		all = append(all, g.Number)
		if g.Current {
			current = g.Number
		}
	}
	return all, current
}

// A diskless server gets a new kernel: it pushes, machines follow, and go
// back when told.
func TestPushAndRollback(t *testing.T) {
	b := newBench(t)
	one, two := writeSet(t, "generation one"), writeSet(t, "generation two")

	reply, sent := b.pushDir("san-root", one, api.PushRequest{})
	if sent != 1 || reply.BootSet.Generation != 1 || reply.Unchanged {
		t.Errorf("first push: sent %d (the segment is known from another boot set), %+v", sent, reply)
	}
	if reply, sent = b.pushDir("san-root", one, api.PushRequest{}); sent != 0 || !reply.Unchanged || reply.BootSet.Generation != 1 {
		t.Errorf("same again: sent %d, %+v", sent, reply)
	}
	if _, err := b.DefaultBootSet(b.ctx, "san-root"); err != nil {
		t.Fatal(err)
	}
	d := b.netboot(order.ActBoot)
	first := d.Set.ID
	if reply, _ = b.pushDir("san-root", two, api.PushRequest{}); reply.BootSet.Generation != 2 || !reply.BootSet.Default {
		t.Errorf("new kernel: %+v", reply.BootSet)
	}
	// The machine in the middle of its boot goes on with what it started with.
	path, err := b.BootFile(b.ctx, first, "vmlinuz")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "kernel generation one" {
		t.Errorf("%q, %v", got, err)
	}
	if second := b.netboot(order.ActBoot).Set.ID; second != reply.BootSet.ID || second == first {
		t.Errorf("the next netboot got %s, want %s", second, reply.BootSet.ID)
	}
	back, err := b.Rollback(b.ctx, "san-root", api.RollbackRequest{})
	if err != nil || back.Generation != 1 || back.ID != first {
		t.Errorf("rollback: %+v, %v", back, err)
	}
	if got := b.netboot(order.ActBoot).Set.ID; got != first {
		t.Errorf("after the rollback it got %s", got)
	}
	if _, err := b.Rollback(b.ctx, "san-root", api.RollbackRequest{}); status(err) != 409 {
		t.Errorf("no generation before the first: %v", err)
	}
	if _, err := b.Rollback(b.ctx, "san-root", api.RollbackRequest{To: 2}); err != nil {
		t.Error(err)
	}
	b.reopen() // sweeps
	for _, dir := range []string{one, two} {
		m, err := bootset.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := bootset.Verify(b.setPath(m.ID), m); err != nil {
			t.Error(err)
		}
	}
}

func TestPushKeepsSome(t *testing.T) {
	b := newBench(t)
	for _, words := range []string{"a", "b", "c"} {
		b.pushDir("g", writeSet(t, words), api.PushRequest{Keep: 2})
	}
	if all, current := b.numbers("g"); !cmp.Equal(all, []int{3, 2}) || current != 3 {
		t.Errorf("kept %v, current %d", all, current)
	}
	if _, err := b.Rollback(b.ctx, "g", api.RollbackRequest{To: 1}); status(err) != 409 || !strings.Contains(err.Error(), "kept are 2 3") {
		t.Errorf("%v", err)
	}
	dirs, err := filepath.Glob(filepath.Join(b.dir, "state/bootsets/*"))
	if err != nil || len(dirs) != 3 {
		t.Errorf("boot sets on the disk: %q, %v", dirs, err)
	}
	// Going back and pushing again does not lose what is current.
	if _, err := b.Rollback(b.ctx, "g", api.RollbackRequest{}); err != nil {
		t.Fatal(err)
	}
	if reply, _ := b.pushDir("g", writeSet(t, "d"), api.PushRequest{Keep: 1}); reply.BootSet.Generation != 4 || !cmp.Equal(reply.Dropped, []int{2, 3}) {
		t.Errorf("%+v", reply)
	}
	if left, err := filepath.Glob(filepath.Join(b.dir, "state/uploads/*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if err := b.DefaultAndRemove("standard", "g"); err != nil {
		t.Error(err)
	}
	if dirs, _ = filepath.Glob(filepath.Join(b.dir, "state/bootsets/*")); len(dirs) != 1 {
		t.Errorf("after the removal: %q", dirs)
	}
}

// DefaultAndRemove makes one boot set the default and removes the other.
func (b *bench) DefaultAndRemove(dflt, name string) error {
	if _, err := b.DefaultBootSet(b.ctx, dflt); err != nil {
		return err
	}
	return b.RemoveBootSet(b.ctx, name)
}

// A name that was registered by path becomes generation 1 of itself.
func TestPushOverAdded(t *testing.T) {
	b := newBench(t)
	if _, err := b.Rollback(b.ctx, "standard", api.RollbackRequest{}); status(err) != 409 {
		t.Errorf("%v", err)
	}
	b.pushDir("standard", writeSet(t, "newer"), api.PushRequest{})
	if all, current := b.numbers("standard"); !cmp.Equal(all, []int{2, 1}) || current != 2 {
		t.Errorf("%v, current %d", all, current)
	}
}

func TestBlobs(t *testing.T) {
	b := newBench(t)
	dir := writeSet(t, "blobs")
	r := b.request(dir, api.PushRequest{})
	reply, err := b.Push(b.ctx, "x", r)
	if err != nil || len(reply.Missing) != 1 {
		t.Fatalf("%+v, %v", reply, err)
	}
	sum := reply.Missing[0].SHA256
	good := b.content(dir, sum)
	tests := map[string]struct {
		sum    string
		body   string
		status int
		says   string
	}{
		"not asked for": {strings.Repeat("a", 64), "x", 409, "nobody asked"},
		"no hash":       {"../../etc/passwd", "x", 400, "is no sha256"},
		"upper case":    {strings.ToUpper(sum), good, 400, "lower-case"},
		"too short":     {sum, good[:3], 400, "3 bytes or more"},
		"too long":      {sum, good + "x", 400, "changed"},
		"other content": {sum, strings.Repeat("x", len(good)), 400, "changed"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := b.PutBlob(t.Context(), tc.sum, strings.NewReader(tc.body))
			if status(err) != tc.status || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v", err)
			}
		})
	}
	broken := iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(good)))
	if err := b.PutBlob(b.ctx, sum, broken); status(err) != 400 || !strings.Contains(err.Error(), "broke off after 1 of") {
		t.Errorf("%v", err)
	}
	b.reopen() // a restart in between loses nothing
	for range 2 {
		if err := b.PutBlob(b.ctx, sum, strings.NewReader(good)); err != nil {
			t.Fatal(err)
		}
	}
	if reply, err = b.Push(b.ctx, "x", r); err != nil || reply.BootSet == nil {
		t.Fatalf("%+v, %v", reply, err)
	}

	// What rotted here is asked for again, and the boot set is whole then.
	path := filepath.Join(b.setPath(reply.BootSet.ID), "vmlinuz")
	if err := os.WriteFile(path, []byte(strings.Repeat("!", len(good))), 0o600); err != nil {
		t.Fatal(err)
	}
	if reply, err = b.Push(b.ctx, "x", r); err != nil || len(reply.Missing) != 1 {
		t.Fatalf("%+v, %v", reply, err)
	}
	if again, sent := b.pushDir("x", dir, api.PushRequest{}); sent != 1 || !again.Unchanged {
		t.Errorf("sent %d, %+v", sent, again)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != good {
		t.Errorf("%q, %v", got, err)
	}

	// What nobody comes back for goes.
	if _, err := b.Push(b.ctx, "y", b.request(writeSet(t, "never sent"), api.PushRequest{})); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(b.dir, "state/uploads/*.want"))
	if len(left) != 1 {
		t.Fatalf("wanted: %q", left)
	}
	b.at = time.Now().Add(2 * uploadLife)
	if _, err := b.Push(b.ctx, "y", b.request(dir, api.PushRequest{})); err != nil {
		t.Fatal(err)
	}
	if left, _ = filepath.Glob(filepath.Join(b.dir, "state/uploads/*")); len(left) != 0 {
		t.Errorf("stale: %q", left)
	}
}

func TestPushRefuses(t *testing.T) {
	b := newBench(t)
	good := string(b.request(writeSet(t, "x"), api.PushRequest{}).Manifest)
	tests := map[string]struct {
		name string
		r    api.PushRequest
		says string
	}{
		"name":             {"../x", api.PushRequest{Manifest: []byte(good)}, "must be letters"},
		"no JSON":          {"x", api.PushRequest{Manifest: []byte("<html>")}, "manifest.json"},
		"changed manifest": {"x", api.PushRequest{Manifest: []byte(strings.Replace(good, `"cmdline":"x"`, `"cmdline":"y"`, 1))}, "does not belong"},
		"path in a name":   {"x", api.PushRequest{Manifest: []byte(strings.Replace(good, "vmlinuz", "../vmlinuz", 1))}, "no plain file name"},
		"two of a name":    {"x", api.PushRequest{Manifest: []byte(strings.Replace(good, "10-userland.cpio", "vmlinuz", 1))}, "two files"},
		"manifest itself":  {"x", api.PushRequest{Manifest: []byte(strings.Replace(good, "10-userland.cpio", "manifest.json", 1))}, "two files"},
		"negative size":    {"x", api.PushRequest{Manifest: []byte(strings.Replace(good, `"size":4`, `"size":-4`, 1))}, "-4 bytes"},
		"huge":             {"x", api.PushRequest{Manifest: []byte(strings.Replace(good, `"size":4`, `"size":9000000000000`, 1))}, "at most"},
		"keep":             {"x", api.PushRequest{Manifest: []byte(good), Keep: -1}, "keep -1"},
		"long manifest":    {"x", api.PushRequest{Manifest: []byte(strings.Repeat(" ", api.MaxManifest+1))}, "at most"},
		"files.json":       {"x", api.PushRequest{Manifest: []byte(good), Files: &api.Blob{SHA256: "zz"}}, "lower-case"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := b.Push(t.Context(), tc.name, tc.r)
			if status(err) != 400 || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v", err)
			}
		})
	}
	if left, _ := filepath.Glob(filepath.Join(b.dir, "state/uploads/*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestPushWithFiles(t *testing.T) {
	b := newBench(t)
	dir := writeSet(t, "with files.json")
	doc := `[{"path":"init","why":"first program"}]`
	if err := os.WriteFile(filepath.Join(dir, "files.json"), []byte(doc), 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(doc))
	reply, sent := b.pushDir("x", dir, api.PushRequest{Files: &api.Blob{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(doc))}})
	got, err := os.ReadFile(filepath.Join(b.setPath(reply.BootSet.ID), "files.json"))
	if sent != 2 || err != nil || string(got) != doc {
		t.Errorf("sent %d, %q, %v", sent, got, err)
	}
	want := []api.BootFile{{Path: "init", Why: "first program"}}
	for fits, want := range map[string][]api.BootFile{"": want, "init": want, "nothing": {}} {
		files, err := b.BootSetFiles(t.Context(), "x", fits)
		if d := cmp.Diff(want, files); d != "" || err != nil {
			t.Errorf("files that fit %q: %v %s", fits, err, d)
		}
	}
	if _, err := b.BootSetFiles(t.Context(), "none", ""); status(err) != 404 {
		t.Errorf("files of no boot set: %v", err)
	}
	if err := os.Remove(filepath.Join(b.setPath(reply.BootSet.ID), "files.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.BootSetFiles(t.Context(), "x", ""); status(err) != 404 || !strings.Contains(err.Error(), "boot set x") {
		t.Errorf("files that nobody listed: %v", err)
	}
}

func status(err error) int {
	var p *api.Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}
