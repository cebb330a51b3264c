package inventory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"bareroot/api"
	"bareroot/internal/bootset"
	"bareroot/internal/cpio"
	"bareroot/internal/rdconf"
	"bareroot/internal/serve/order"
)

const (
	testUUID = "9f1b3c2e-0a4d-4b8e-9c55-0123456789ab"
	testMAC  = "52:54:00:ab:cd:ef"
)

var lab = netip.MustParseAddr("10.0.0.17")

// bench is a service with a boot set and its own clock.
type bench struct {
	*Service
	t   *testing.T
	ctx context.Context
	at  time.Time
	dir string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, ctx: t.Context(), at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), dir: t.TempDir()}
	b.reopen()
	t.Cleanup(func() { b.Close() })
	if _, err := b.AddBootSet(b.ctx, api.BootSetRequest{Name: "standard", Path: writeSet(t, "console=ttyS0")}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) reopen() {
	b.t.Helper()
	if b.Service != nil {
		if err := b.Close(); err != nil {
			b.t.Fatal(err)
		}
	}
	s, err := New(Config{StateDir: filepath.Join(b.dir, "state"), BaseURL: "http://10.0.0.1:8080", Now: func() time.Time { return b.at }})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Service = s
}

func (b *bench) later(d time.Duration) { b.at = b.at.Add(d) }

func writeSet(t testing.TB, cmdline string) string {
	t.Helper()
	dir := t.TempDir()
	blob := func(name, data string) bootset.Blob {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(data))
		return bootset.Blob{File: name, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
	}
	m := bootset.Manifest{Version: bootset.Version, Arch: "amd64", Kver: "6.1.0-test", Kernel: blob("vmlinuz", "kernel "+cmdline), Cmdline: cmdline, Roles: []string{"discover"}}
	m.Segments = []bootset.Segment{{Kind: "userland", Blob: blob("10-userland.cpio", "user")}}
	m.ID = m.Sum()
	doc, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), doc, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (b *bench) netboot(want string) order.Decision {
	b.t.Helper()
	d, err := b.NetBoot(b.ctx, order.BootRequest{UUID: testUUID, MAC: testMAC, Platform: "bios", Arch: "amd64", Remote: lab})
	if err != nil {
		b.t.Fatal(err)
	}
	if d.Action != want {
		b.t.Fatalf("netboot: %s (%s), want %s", d.Action, d.Message, want)
	}
	return d
}

func (b *bench) config(d order.Decision) rdconf.Config {
	b.t.Helper()
	seg, err := b.Segment(b.ctx, d.Attempt)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(seg)%segmentAlign != 0 {
		b.t.Fatalf("segment is %d bytes, not padded", len(seg))
	}
	r := cpio.NewReader(strings.NewReader(string(seg)))
	for {
		e, err := r.Next()
		if err != nil {
			b.t.Fatalf("no configuration in the segment: %v", err)
		}
		if e.Name != "etc/bareroot/config.json" {
			continue
		}
		doc, err := io.ReadAll(r)
		if err != nil {
			b.t.Fatal(err)
		}
		c, notices, err := rdconf.Parse(doc)
		if err != nil || len(notices) > 0 {
			b.t.Fatal(err, notices)
		}
		return c
	}
}

func (b *bench) greeting(nonce, bootID string) api.HelloRequest {
	return api.HelloRequest{Protocol: 1, Nonce: nonce, BootID: bootID, Program: "bareroot-init", Version: "test", UUID: testUUID, MACs: []string{testMAC}}
}

// boot netboots the machine and says hello.
func (b *bench) boot(bootID string) *Session {
	b.t.Helper()
	c := b.config(b.netboot(order.ActBoot))
	reply, err := b.Hello(b.ctx, b.greeting(c.Server.Nonce, bootID), lab)
	if err != nil {
		b.t.Fatal(err)
	}
	ss, err := b.Session(b.ctx, reply.Token)
	if err != nil {
		b.t.Fatal(err)
	}
	return ss
}

func (b *bench) machine() *api.Machine {
	b.t.Helper()
	m, err := b.Machine(b.ctx, testMAC)
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

func (b *bench) approve() {
	b.t.Helper()
	if _, err := b.Approve(b.ctx, testUUID, api.ApproveRequest{}); err != nil {
		b.t.Fatal(err)
	}
}

// image registers an image of some bytes.
func (b *bench) image(name, content string, compress bool) *api.Image {
	b.t.Helper()
	data := []byte(content)
	if compress {
		z, err := zstd.NewWriter(nil)
		if err != nil {
			b.t.Fatal(err)
		}
		data = z.EncodeAll(data, nil)
	}
	p := filepath.Join(b.dir, name)
	if err := os.WriteFile(p, data, 0o644); err != nil {
		b.t.Fatal(err)
	}
	i, err := b.AddImage(b.ctx, api.ImageRequest{Name: name, Path: p})
	if err != nil {
		b.t.Fatal(err)
	}
	return i
}

func (b *bench) place(r api.OrderRequest) *api.Order {
	b.t.Helper()
	o, err := b.PlaceOrder(b.ctx, testMAC, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return o
}

func (b *bench) next(ss *Session) *api.Order {
	b.t.Helper()
	o, err := b.Next(b.ctx, ss, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	return o
}

func (b *bench) tell(ss *Session, es ...api.Event) *api.EventReply {
	b.t.Helper()
	r, err := b.Events(b.ctx, ss, api.EventBatch{Events: es})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bench) order(id string) *api.OrderDetail {
	b.t.Helper()
	o, err := b.Order(b.ctx, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return o
}

func wantStatus(t *testing.T, err error, status int, words string) {
	t.Helper()
	p, ok := errors.AsType[*api.Problem](err)
	if !ok || p.Status != status || !strings.Contains(p.Detail, words) {
		t.Fatalf("error %v, want status %d with %q", err, status, words)
	}
}

func TestDeploy(t *testing.T) {
	b := newBench(t)
	ss := b.boot("boot-1")
	if got := b.machine().Status; got != "discovering" {
		t.Errorf("status %q before facts", got)
	}
	if err := b.Facts(b.ctx, ss, api.Facts{Version: 1, Firmware: "bios", Disks: []api.Disk{{ID: "serial-1"}}}); err != nil {
		t.Fatal(err)
	}
	b.image("debian", strings.Repeat("disk image ", 5000), true)
	_, err := b.PlaceOrder(b.ctx, testMAC, api.OrderRequest{Kind: api.KindDeploy, Image: "debian"})
	wantStatus(t, err, 409, "bareroot machine approve node-abcdef")
	b.approve()
	o := b.place(api.OrderRequest{Kind: api.KindDeploy, Image: "debian"})
	_, err = b.PlaceOrder(b.ctx, testMAC, api.OrderRequest{Kind: api.KindReboot})
	wantStatus(t, err, 409, o.ID)

	b.reopen() // a killed server forgets nothing
	got := b.next(ss)
	if got == nil || got.ID != o.ID || got.Attempt != 1 || got.Deploy.Image.RawSize != 55000 || got.Deploy.Image.Compression != "zstd" {
		t.Fatalf("next: %+v", got)
	}
	if again := b.next(ss); again == nil || again.Attempt != 1 {
		t.Fatalf("a lost reply is not given again: %+v", again)
	}
	run := api.Event{Order: o.ID, Attempt: 1, Seq: 1000, Kind: api.EventState, State: api.StateRunning}
	b.tell(ss, run, run)
	b.tell(ss, api.Event{Order: o.ID, Attempt: 1, Seq: 1001, Kind: api.EventProgress, Phase: "write", Done: 41, Total: 100})
	if got := b.machine().Status; got != "deploying 41%" {
		t.Errorf("status %q while running", got)
	}
	end := api.Event{Order: o.ID, Attempt: 1, Seq: 1002, Kind: api.EventState, State: api.StateDone, Message: "written", Result: &api.Result{ImageBytes: 55000}}
	b.tell(ss, end)
	b.tell(ss, end)
	m := b.machine()
	if m.Status != "deployed" || m.Boot != api.BootDisk {
		t.Errorf("machine is %s, boots %s", m.Status, m.Boot)
	}
	b.netboot(order.ActDisk)
	var what []string
	for _, s := range b.machine().Timeline {
		what = append(what, s.What)
	}
	want := []string{"netboot", "kernel", "hello", "discovered", "order sent", "first progress", "deployed", "disk"}
	if d := cmp.Diff(want, what); d != "" {
		t.Error("timeline", d)
	}
	if n := len(b.order(o.ID).Events); n != 4 {
		t.Errorf("%d events in the history, want ordered, sent, running, done", n)
	}
}

func TestRestartInTheMiddle(t *testing.T) {
	b := newBench(t)
	b.image("debian", "raw bytes", false)
	ss := b.boot("boot-0")
	b.approve()
	o := b.place(api.OrderRequest{Kind: api.KindDeploy, Image: "debian"})
	for n := 1; n <= order.MaxRestarts; n++ {
		if got := b.next(ss); got == nil || got.Attempt != n {
			t.Fatalf("attempt %d: %+v", n, got)
		}
		b.tell(ss, api.Event{Order: o.ID, Attempt: n, Seq: 1000, Kind: api.EventState, State: api.StateRunning, Phase: "write"})
		b.later(time.Minute)
		old := ss
		ss = b.boot("boot-" + string(rune('0'+n)))
		if _, err := b.Events(b.ctx, old, api.EventBatch{}); err == nil {
			t.Fatal("an old boot's session still speaks")
		}
	}
	d := b.order(o.ID)
	if d.State != api.StateFailed || d.Message != "machine restarted 3 times during deploy, step write" {
		t.Errorf("order is %s: %s", d.State, d.Message)
	}
	var story []string
	for _, e := range d.Events {
		if e.Seq == 0 {
			story = append(story, e.Message)
		}
	}
	want := []string{
		"ordered", "sent to boot boot-0 as attempt 1",
		"machine restarted during deploy, step write (attempt 1); queued again as attempt 2", "sent to boot boot-1 as attempt 2",
		"machine restarted during deploy, step write (attempt 2); queued again as attempt 3", "sent to boot boot-2 as attempt 3",
		"machine restarted 3 times during deploy, step write",
	}
	if diff := cmp.Diff(want, story); diff != "" {
		t.Error(diff)
	}
	if got, err := b.Retry(b.ctx, o.ID); err != nil || got.State != api.StateQueued {
		t.Fatal(got, err)
	}
	if got := b.next(ss); got == nil || got.Attempt != 4 {
		t.Fatalf("after retry: %+v", got)
	}
}

func TestLiveRoot(t *testing.T) {
	b := newBench(t)
	i := b.image("live", "hsqs and the rest", false)
	if i.Format != "squashfs" {
		t.Fatalf("format %s", i.Format)
	}
	ss := b.boot("boot-1")
	b.approve()
	o := b.place(api.OrderRequest{Kind: api.KindRoot, Image: "live"})
	got := b.next(ss)
	b.tell(ss, api.Event{Order: o.ID, Attempt: 1, Seq: 1000, Kind: api.EventState, State: api.StateRunning},
		api.Event{Seq: 20, Kind: api.EventBoot, Phase: "switch-root"},
		api.Event{Order: o.ID, Attempt: 1, Seq: 1001, Kind: api.EventState, State: api.StateDone})
	if m := b.machine(); m.Status != "live" || m.Boot != api.BootRoot {
		t.Errorf("machine is %s, boots %s", m.Status, m.Boot)
	}
	b.later(time.Hour)
	d := b.netboot(order.ActBoot)
	if d.Cmdline != "console=ttyS0 BOOTIF=01-52-54-00-ab-cd-ef" {
		t.Errorf("cmdline %q", d.Cmdline)
	}
	c := b.config(d)
	want := "rd.neednet=1 " + strings.Join(got.Root.Words, " ")
	if c.Role != order.RoleRoot || c.Cmdline != want || !strings.Contains(want, "root=live:http://10.0.0.1:8080/images/"+i.SHA256) {
		t.Errorf("role %s, cmdline %q", c.Role, c.Cmdline)
	}
	wantStatus(t, b.RemoveImage(b.ctx, "live"), 409, "live root")
}

func TestSecondExchange(t *testing.T) {
	b := newBench(t)
	c := b.config(b.netboot(order.ActBoot))
	if _, err := b.Hello(b.ctx, b.greeting(c.Server.Nonce, "boot-1"), lab); err != nil {
		t.Fatal(err)
	}
	_, err := b.Hello(b.ctx, b.greeting(c.Server.Nonce, "boot-1"), netip.MustParseAddr("10.0.0.66"))
	wantStatus(t, err, 403, "exchanged already")
	if w := b.machine().Warnings; len(w) != 1 || !strings.Contains(w[0], "10.0.0.66") {
		t.Errorf("warnings %q", w)
	}
	_, err = b.Hello(b.ctx, b.greeting("guess", "boot-2"), lab)
	wantStatus(t, err, 403, "not known")
	_, err = b.Session(b.ctx, "guess")
	wantStatus(t, err, 401, "")
}

func TestSecretsAreNotKept(t *testing.T) {
	b := newBench(t)
	d := b.netboot(order.ActBoot)
	c := b.config(d)
	reply, err := b.Hello(b.ctx, b.greeting(c.Server.Nonce, "boot-1"), lab)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Segment(b.ctx, d.Attempt)
	wantStatus(t, err, 404, "")
	late := b.netboot(order.ActBoot)
	old := b.config(late)
	b.later(segmentLife + time.Second)
	_, err = b.Segment(b.ctx, late.Attempt)
	wantStatus(t, err, 404, "")
	_, err = b.Hello(b.ctx, b.greeting(old.Server.Nonce, "boot-2"), lab)
	wantStatus(t, err, 403, "too old")
	b.reopen()
	err = filepath.WalkDir(filepath.Join(b.dir, "state"), func(p string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		for name, secret := range map[string]string{"token": reply.Token, "used nonce": c.Server.Nonce} {
			if strings.Contains(string(data), secret) && !strings.HasSuffix(p, "-wal") {
				t.Errorf("%s is in %s", name, p)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBootLoopGuard(t *testing.T) {
	b := newBench(t)
	for range order.MaxScripts {
		b.netboot(order.ActBoot)
		b.later(time.Minute)
	}
	b.netboot(order.ActPark)
	m := b.machine()
	if m.Approval != api.ApprovalHeld || !strings.HasPrefix(m.Status, "parked: boot loop") || len(m.Warnings) != 1 {
		t.Errorf("machine is %s, %s, %q", m.Approval, m.Status, m.Warnings)
	}
	b.approve()
	b.later(time.Second)
	b.netboot(order.ActBoot)
}

func TestHelloLoopGuard(t *testing.T) {
	b := newBench(t)
	b.image("live", "hsqs", false)
	ss := b.boot("boot-0")
	b.approve()
	o := b.place(api.OrderRequest{Kind: api.KindRoot, Image: "live"})
	b.next(ss)
	b.tell(ss, api.Event{Order: o.ID, Attempt: 1, Seq: 1, Kind: api.EventState, State: api.StateDone})
	for n := range order.MaxHellos {
		b.later(time.Minute)
		b.boot("again-" + string(rune('0'+n)))
	}
	b.netboot(order.ActPark)
	if got := b.machine().Status; !strings.Contains(got, "its root") {
		t.Errorf("status %q", got)
	}
}
