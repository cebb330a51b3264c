package inventory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/order"
)

// TestNextWaits: a long poll ends by an order, by its time, by its caller,
// and by the server's end; all at once, in fake time.
func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ss := b.boot("boot-1")
		start := time.Now()
		if o, err := b.Next(b.ctx, ss, 25*time.Second); o != nil || err != nil || time.Since(start) != 25*time.Second {
			t.Errorf("%v %v after %s", o, err, time.Since(start))
		}
		if o, err := b.Next(b.ctx, ss, time.Hour); o != nil || err != nil || time.Since(start) != 85*time.Second {
			t.Errorf("the wait is not bounded: %v %v after %s", o, err, time.Since(start))
		}
		type answer struct {
			o   *api.Order
			err error
		}
		next := func(ctx context.Context) chan answer {
			c := make(chan answer, 1)
			go func() {
				o, err := b.Next(ctx, ss, time.Minute)
				c <- answer{o, err}
			}()
			return c
		}
		c := next(b.ctx)
		time.Sleep(time.Second)
		b.place(api.OrderRequest{Kind: api.KindDiscover})
		if a := <-c; a.err != nil || a.o == nil || a.o.Kind != api.KindDiscover {
			t.Errorf("%+v", a)
		}
		b.tell(ss, api.Event{Order: "o-1", Attempt: 1, Seq: 1, Kind: api.EventState, State: api.StateDone})

		ctx, cancel := context.WithCancel(b.ctx)
		c = next(ctx)
		time.Sleep(time.Second)
		cancel()
		if a := <-c; !errors.Is(a.err, context.Canceled) {
			t.Errorf("%+v", a)
		}
		c = next(b.ctx)
		time.Sleep(time.Second)
		b.broker.close()
		if a := <-c; a.err == nil || a.o != nil {
			t.Errorf("%+v", a)
		}
	})
}

// TestAgentDies: an agent that was started again in the same boot gets the
// order anew, but not while the end of it may be on its way.
func TestAgentDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.Now = time.Now
		ss := b.boot("boot-1")
		o := b.place(api.OrderRequest{Kind: api.KindDiscover})
		b.next(ss)
		b.tell(ss, api.Event{Order: o.ID, Attempt: 1, Seq: 1000, Kind: api.EventState, State: api.StateRunning})
		died := time.Now()
		if got, err := b.Next(b.ctx, ss, 25*time.Second); got != nil || err != nil {
			t.Fatalf("after %s: %+v %v", time.Since(died), got, err)
		}
		got, err := b.Next(b.ctx, ss, 25*time.Second)
		if err != nil || got == nil || got.Attempt != 2 {
			t.Fatalf("after %s: %+v %v", time.Since(died), got, err)
		}
		if quiet := time.Since(died); quiet < order.Quiet || quiet > 2*order.Quiet {
			t.Errorf("given anew after %s", quiet)
		}
		story := b.order(o.ID).Events
		if m := story[len(story)-2].Message; m != "agent restarted during discover (attempt 1); queued again as attempt 2" {
			t.Errorf("%q", m)
		}
	})
}

// TestNonceRace: of many that present a nonce at once, one gets a session.
func TestNonceRace(t *testing.T) {
	b := newBench(t)
	c := b.config(b.netboot(order.ActBoot))
	var won atomic.Int64
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			_, err := b.Hello(b.ctx, b.greeting(c.Server.Nonce, fmt.Sprintf("boot-%d", n)), netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}))
			if err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d sessions for one nonce", won.Load())
	}
	if w := b.machine().Warnings; len(w) != 7 {
		t.Errorf("%d warnings: %q", len(w), w)
	}
}

func TestSessionEnds(t *testing.T) {
	b := newBench(t)
	c := b.config(b.netboot(order.ActBoot))
	older := b.config(b.netboot(order.ActBoot)) // asked for, never said hello
	newer := b.config(b.netboot(order.ActBoot))
	hello := func(nonce, id string) string {
		t.Helper()
		r, err := b.Hello(b.ctx, b.greeting(nonce, id), lab)
		if err != nil {
			t.Fatal(err)
		}
		return r.Token
	}
	first := hello(c.Server.Nonce, "boot-1")
	second := hello(newer.Server.Nonce, "boot-2")
	_, err := b.Session(b.ctx, first)
	wantStatus(t, err, 401, "")
	_, err = b.Hello(b.ctx, b.greeting(older.Server.Nonce, "boot-3"), lab)
	wantStatus(t, err, 403, "newer boot")
	if _, err := b.Session(b.ctx, second); err != nil {
		t.Fatal(err)
	}
	b.later(sessionLife + time.Second)
	_, err = b.Session(b.ctx, second)
	wantStatus(t, err, 401, "")
	third := b.boot("boot-4")
	if _, err := b.Approve(b.ctx, testMAC, api.ApproveRequest{Approval: api.ApprovalRetired}); err != nil {
		t.Fatal(err)
	}
	b.netboot(order.ActPark)
	if _, err := b.Approve(b.ctx, testMAC, api.ApproveRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Forget(b.ctx, testMAC); err != nil {
		t.Fatal(err)
	}
	_, err = b.Next(b.ctx, third, 0)
	wantStatus(t, err, 401, "")
}

// TestApprovalCounts: an order waits while its machine may not be changed.
func TestApprovalCounts(t *testing.T) {
	b := newBench(t)
	ss := b.boot("boot-1")
	b.approve()
	b.image("debian", "raw", false)
	b.place(api.OrderRequest{Kind: api.KindDeploy, Image: "debian"})
	if _, err := b.Approve(b.ctx, testMAC, api.ApproveRequest{Approval: api.ApprovalNew}); err != nil {
		t.Fatal(err)
	}
	if o := b.next(ss); o != nil {
		t.Fatalf("a machine that is new got %s", o.Kind)
	}
	if s := b.machine().Status; s != "waiting for approval" {
		t.Errorf("status %q", s)
	}
	b.approve()
	if o := b.next(ss); o == nil {
		t.Fatal("the order is lost")
	}
}

// TestOthersOrders: a machine cannot speak for another one's order.
func TestOthersOrders(t *testing.T) {
	b := newBench(t)
	b.boot("boot-1")
	o := b.place(api.OrderRequest{Kind: api.KindDiscover})
	d, err := b.NetBoot(b.ctx, order.BootRequest{MAC: "52:54:00:00:00:99"})
	if err != nil {
		t.Fatal(err)
	}
	c := b.config(d)
	r, err := b.Hello(b.ctx, api.HelloRequest{Protocol: 1, Nonce: c.Server.Nonce, BootID: "x", UUID: testUUID, MACs: []string{testMAC}}, lab)
	if err != nil {
		t.Fatal(err)
	}
	ss, err := b.Session(b.ctx, r.Token)
	if err != nil {
		t.Fatal(err)
	}
	if m := b.machine(); m.ID == ss.Machine || len(m.MACs) != 1 {
		t.Errorf("a hello took another machine's address: %+v", m)
	}
	_, err = b.Events(b.ctx, ss, api.EventBatch{Events: []api.Event{{Order: o.ID, Seq: 1, Kind: api.EventState, State: api.StateDone}}})
	wantStatus(t, err, 404, o.ID)
	if got := b.next(ss); got != nil {
		t.Errorf("another machine's order: %+v", got)
	}
}

// TestProgress: the newest is shown at once, the store hears of it now and
// then, a server that was restarted goes on from there.
func TestProgress(t *testing.T) {
	b := newBench(t)
	b.image("debian", "raw", false)
	ss := b.boot("boot-1")
	b.approve()
	o := b.place(api.OrderRequest{Kind: api.KindDeploy, Image: "debian"})
	b.next(ss)
	progress := func(seq int, done int64) api.Event {
		return api.Event{Order: o.ID, Attempt: 1, Seq: seq, Kind: api.EventProgress, Phase: "write", Done: done, Total: 100}
	}
	shows := func(want string) {
		t.Helper()
		if got := b.machine().Status; got != want {
			t.Errorf("status %q, want %q", got, want)
		}
	}
	b.tell(ss, api.Event{Order: o.ID, Attempt: 1, Seq: 1000, Kind: api.EventState, State: api.StateRunning}, progress(1001, 10))
	shows("deploying 10%")
	b.later(time.Second)
	b.tell(ss, progress(1002, 20))
	shows("deploying 20%")
	b.tell(ss, progress(1001, 10))
	shows("deploying 20%")
	init := progress(7, 30) // it counts its own events
	init.Time = b.at.Add(time.Second)
	b.tell(ss, init)
	shows("deploying 30%")
	b.reopen()
	shows("deploying 10%")
	b.later(time.Second)
	b.tell(ss, progress(1010, 60))
	shows("deploying 60%")
	b.reopen()
	shows("deploying 60%")
	if n := len(b.order(o.ID).Events); n != 3 {
		t.Errorf("%d events: progress is in the history", n)
	}
	b.tell(ss, progress(1011, 61))
	if _, err := b.Cancel(b.ctx, o.ID); err != nil {
		t.Fatal(err)
	}
	if r := b.tell(ss, progress(1012, 62)); len(r.Cancelled) != 1 {
		t.Error("a machine at work is not told of the cancellation")
	}
}

// TestHalfWrittenDisk: once the plan is told, the disk is no place to boot
// from until the order is done.
func TestHalfWrittenDisk(t *testing.T) {
	b := newBench(t)
	b.image("debian", "raw", false)
	ss := b.boot("boot-1")
	b.approve()
	deploy := func(r api.OrderRequest, steps []api.PlanStep, last string) {
		t.Helper()
		r.Kind, r.Image = api.KindDeploy, "debian"
		b.place(r)
		o := b.next(ss)
		b.tell(ss, api.Event{Order: o.ID, Attempt: 1, Seq: 1000, Kind: api.EventPlan, Plan: &api.Plan{Version: 1, Hash: "h", Steps: steps}},
			api.Event{Order: o.ID, Attempt: 1, Seq: 1001, Kind: api.EventState, State: last, Message: "m"})
		if d := b.order(o.ID); d.Plan == nil || d.Plan.Hash != "h" || d.State != last {
			t.Errorf("%+v", d)
		}
	}
	steps := []api.PlanStep{{Op: "write-image", Disk: "serial-1"}}
	for _, c := range []struct {
		r                  api.OrderRequest
		steps              []api.PlanStep
		last, boot, status string
	}{
		{api.OrderRequest{}, steps, api.StateDone, api.BootDisk, "deployed"},
		{api.OrderRequest{DryRun: true}, steps, api.StateFailed, api.BootDisk, "deployed"},
		{api.OrderRequest{DryRun: true}, steps, api.StateDone, api.BootDisk, "deployed"},
		{api.OrderRequest{}, nil, api.StateFailed, api.BootDisk, "failed: m"}, // refused: holds data
		{api.OrderRequest{}, steps, api.StateFailed, api.BootDiscover, "failed: m"},
		{api.OrderRequest{DryRun: true}, steps, api.StateDone, api.BootDiscover, "discovering"},
	} {
		deploy(c.r, c.steps, c.last)
		if got := b.machine(); got.Boot != c.boot || got.Status != c.status {
			t.Errorf("%+v, %d steps, %s: boots %s, %s; want %s, %s", c.r, len(c.steps), c.last, got.Boot, got.Status, c.boot, c.status)
		}
	}
}

// TestWhatItSays: the machine's message is about what it does now, in words
// that people know.
func TestWhatItSays(t *testing.T) {
	b := newBench(t)
	img := b.image("debian", "raw", false)
	ss := b.boot("boot-1")
	b.approve()
	url := "http://10.0.0.1:8080/images/" + img.SHA256
	seq := 1000
	tell := func(e api.Event) {
		t.Helper()
		seq++
		e.Seq, e.Attempt = seq, 1
		b.tell(ss, e)
	}
	says := func(want, status string, failed bool) {
		t.Helper()
		if m := b.machine(); m.Message != want || m.Status != status || m.Failed != failed {
			t.Errorf("%q, %s, failed %v; want %q, %s, %v", m.Message, m.Status, m.Failed, want, status, failed)
		}
	}
	b.place(api.OrderRequest{Kind: api.KindDeploy, Image: "debian"})
	o := b.next(ss)
	tell(api.Event{Order: o.ID, Kind: api.EventState, State: api.StateFailed, Failed: true, Message: "download live:" + url + ": refused; " + url + "0 is another"})
	says("download image debian: refused; "+url+"0 is another", "failed: download image debian: refused; "+url+"0 is another", true)

	b.place(api.OrderRequest{Kind: api.KindDeploy, Image: "debian", Erase: true})
	o = b.next(ss)
	says("", "deploy starting", false)
	tell(api.Event{Order: o.ID, Kind: api.EventState, State: api.StateRunning})
	tell(api.Event{Order: o.ID, Kind: api.EventProgress, Phase: "check"})
	says("checks the disks and image debian", "deploying", false)
	tell(api.Event{Order: o.ID, Kind: api.EventProgress, Phase: "write", Done: 1, Total: 4})
	says("writes image debian to its disk", "deploying 25%", false)
	if got := b.order(o.ID).Message; got != "writes image debian to its disk" {
		t.Errorf("the order says %q", got)
	}
	if _, err := b.Cancel(b.ctx, o.ID); err != nil {
		t.Fatal(err)
	}
	says("order "+o.ID+" was cancelled", "discovering", false)
	tell(api.Event{Order: o.ID, Kind: api.EventState, State: api.StateCancelled, Message: "cancelled by the operator (disk x is marked as unfinished)"})
	says("cancelled by the operator (disk x is marked as unfinished)", "discovering", false)
}

func TestLogBounds(t *testing.T) {
	b := newBench(t)
	ss := b.boot("boot-0")
	piece := []byte(strings.Repeat("line\n", 1000))
	for off := int64(0); off < maxLog+20_000; off += int64(len(piece)) {
		if err := b.Log(b.ctx, ss, off, piece); err != nil {
			t.Fatal(err)
		}
	}
	read := func(id string) string {
		t.Helper()
		r, err := b.Logs(b.ctx, testMAC, id)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if n := len(read("boot-0")); n != maxLog {
		t.Errorf("%d bytes kept", n)
	}
	for n := 1; n <= keepBoots; n++ {
		b.later(time.Hour)
		ss = b.boot(fmt.Sprintf("boot-%d", n))
		if err := b.Log(b.ctx, ss, 5, []byte("tail")); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(""); got != "tail" {
		t.Errorf("a hole shows: %q", got)
	}
	files, err := filepath.Glob(filepath.Join(b.dir, "state/logs/*/*.log"))
	if err != nil || len(files) != keepBoots {
		t.Errorf("%d logs kept: %v", len(files), err)
	}
	_, err = b.Logs(b.ctx, testMAC, "../../bareroot")
	wantStatus(t, err, 404, "no log")
}
