package inventory

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/internal/cpio"
	"bareroot/internal/rdconf"
	"bareroot/internal/serve/order"
)

const crashDir = "BAREROOT_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Println("crash", crashChild(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// crashChild drives one machine through order after order until it is
// killed. It prints what the service has acknowledged: "order ID STATE".
func crashChild(dir string) error {
	ctx := context.Background()
	s, err := New(Config{StateDir: filepath.Join(dir, "state"), BaseURL: "http://10.0.0.1:8080"})
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		img := filepath.Join(dir, "image")
		if err := os.WriteFile(img, fmt.Appendf(nil, "image %d %d", os.Getpid(), n), 0o600); err != nil {
			return err
		}
		i, err := s.AddImage(ctx, api.ImageRequest{Name: fmt.Sprintf("i-%d-%d", os.Getpid(), n), Path: img})
		if err != nil {
			return err
		}
		fmt.Println("image", i.Name, i.SHA256)
		ss, err := crashBoot(ctx, s, n)
		if err != nil {
			return err
		}
		if _, err := s.Approve(ctx, testMAC, api.ApproveRequest{}); err != nil {
			return err
		}
		// The one before the crash goes on, as it does on a real machine.
		o, err := s.PlaceOrder(ctx, testMAC, api.OrderRequest{Kind: api.KindDeploy, Image: i.Name})
		if p, ok := errors.AsType[*api.Problem](err); ok && p.Status == 409 {
			fmt.Println("resumed")
		} else if err != nil {
			return err
		} else {
			fmt.Println("order", o.ID, o.State)
		}
		if o, err = s.Next(ctx, ss, 0); err != nil {
			return err
		}
		if o == nil {
			continue // given up after three restarts
		}
		fmt.Println("order", o.ID, o.State)
		for k, state := range []string{api.StateRunning, api.StateDone} {
			e := api.Event{Order: o.ID, Attempt: o.Attempt, Seq: 1000 + k, Kind: api.EventState, State: state}
			for range 2 { // each is told twice: the first reply was lost
				if _, err := s.Events(ctx, ss, api.EventBatch{Events: []api.Event{e}}); err != nil {
					return err
				}
			}
			fmt.Println("order", o.ID, state)
		}
	}
}

func crashBoot(ctx context.Context, s *Service, n int) (*Session, error) {
	_, err := s.PlaceOrder(ctx, testMAC, api.OrderRequest{Kind: api.KindDiscover})
	if err == nil { // so that a deployed machine is booted at all
		open, err := s.Orders(ctx, testMAC)
		if err != nil {
			return nil, err
		}
		defer s.Cancel(ctx, open[0].ID)
	}
	d, err := s.NetBoot(ctx, order.BootRequest{MAC: testMAC})
	if err != nil {
		return nil, err
	}
	if d.Action != order.ActBoot {
		return nil, fmt.Errorf("netboot: %s: %s", d.Action, d.Message)
	}
	seg, err := s.Segment(ctx, d.Attempt)
	if err != nil {
		return nil, err
	}
	r := cpio.NewReader(strings.NewReader(string(seg)))
	for range 2 {
		if _, err := r.Next(); err != nil {
			return nil, err
		}
	}
	if _, err := r.Next(); err != nil {
		return nil, err
	}
	var c rdconf.Config
	if err := json.NewDecoder(r).Decode(&c); err != nil {
		return nil, err
	}
	reply, err := s.Hello(ctx, api.HelloRequest{Protocol: 1, Nonce: c.Server.Nonce, BootID: fmt.Sprintf("%d-%d", os.Getpid(), n)}, lab)
	if err != nil {
		return nil, err
	}
	return s.Session(ctx, reply.Token)
}

// TestKill kills the service at random instants and holds that all it
// acknowledged is still true.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	b := &bench{t: t, ctx: t.Context(), at: time.Now(), dir: dir}
	b.reopen()
	if _, err := b.AddBootSet(b.ctx, api.BootSetRequest{Name: "b", Path: writeSet(t, "")}); err != nil {
		t.Fatal(err)
	}
	if err := b.Import(b.ctx, PowerSystem{Name: "victim", MACs: []string{testMAC}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	rank := map[string]int{api.StateQueued: 0, api.StateSent: 1, api.StateRunning: 2, api.StateDone: 3, api.StateCancelled: 3, api.StateFailed: 3}
	acked, images := map[string]string{}, map[string]string{}
	acks := 0
	for range 12 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		die := rand.IntN(25)
		sc := bufio.NewScanner(out)
		for n := 0; sc.Scan(); n++ {
			f := strings.Fields(sc.Text())
			switch f[0] {
			case "order":
				acked[f[1]] = f[2]
				acks++
			case "image":
				images[f[1]] = f[2]
			case "crash":
				t.Fatal(sc.Text())
			}
			if n == die {
				// Somewhere in what comes next.
				time.AfterFunc(time.Duration(rand.IntN(12_000))*time.Microsecond, func() { cmd.Process.Kill() })
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		s, err := New(Config{StateDir: filepath.Join(dir, "state"), BaseURL: "http://10.0.0.1:8080"})
		if err != nil {
			t.Fatal(err)
		}
		checkKilled(t, s, rank, acked, images)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d acknowledgements, %d orders, %d images", acks, len(acked), len(images))
	if len(acked) < 5 {
		t.Errorf("only %d orders: the test tested little", len(acked))
	}
}

func checkKilled(t *testing.T, s *Service, rank map[string]int, acked, images map[string]string) {
	t.Helper()
	open := 0
	all, err := s.Orders(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]api.Order{}
	for _, o := range all {
		have[o.ID] = o
		if order.Open(o.State) {
			open++
		}
		d, err := s.Order(t.Context(), o.ID)
		if err != nil {
			t.Fatal(err)
		}
		done := 0
		for _, e := range d.Events {
			if e.Kind == api.EventState && e.State == api.StateDone {
				done++
			}
		}
		if want := map[bool]int{true: 1}[o.State == api.StateDone]; done != want {
			t.Errorf("order %s is %s and %d times done", o.ID, o.State, done)
		}
	}
	if open > 1 {
		t.Errorf("%d open orders of one machine", open)
	}
	for id, state := range acked {
		o, ok := have[id]
		// A restart may have queued it again as a later attempt.
		if !ok || rank[o.State] < rank[state] && !(o.State == api.StateQueued && o.Attempt > 0) {
			t.Errorf("order %s was acknowledged as %s and is %q", id, state, o.State)
		}
	}
	for name, sum := range images {
		i, err := s.VerifyImage(t.Context(), name)
		if err != nil || i.SHA256 != sum || i.Problem != "" {
			t.Errorf("image %s: %+v %v", name, i, err)
		}
	}
}
