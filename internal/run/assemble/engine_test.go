package assemble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
	"bareroot/internal/run/device"
)

// bench is a machine made of maps.
type bench struct {
	mu      sync.Mutex
	blocks  []*device.Block
	arrays  []device.Array
	mapped  []device.Mapped
	changed chan struct{}
	ran     []string
	asked   []string
	answers []string
	run     func(argv []string, input string) int // called with mu held
	find    func()                                // called by Find, with mu held
	give    func(env []string) string             // standard output, for one who wants it
}

func (b *bench) Blocks() []*device.Block        { b.mu.Lock(); defer b.mu.Unlock(); return b.blocks }
func (b *bench) Arrays() []device.Array         { b.mu.Lock(); defer b.mu.Unlock(); return b.arrays }
func (b *bench) MappedDevices() []device.Mapped { b.mu.Lock(); defer b.mu.Unlock(); return b.mapped }
func (b *bench) Settled() bool                  { return true }
func (b *bench) Refresh() error                 { b.change(func() {}); return nil }
func (b *bench) Seen() string                   { return "what is seen" }
func (b *bench) Tell(string)                    {}

func (b *bench) HandOver(string, time.Duration) error { return nil }

func (b *bench) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

func (b *bench) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *bench) Find(form string) (string, device.Block, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.find != nil {
		b.find()
	}
	for _, d := range b.blocks {
		if form == "LABEL="+d.Label || form == "/dev/"+d.Name {
			return "/dev/" + d.Name, *d, true
		}
	}
	return "", device.Block{}, false
}

func (b *bench) Run(_ context.Context, c console.Command) (syscall.WaitStatus, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ran = append(b.ran, filepath.Base(c.Argv[0])+" "+strings.Join(c.Argv[1:2], "")+" "+c.Argv[len(c.Argv)-1])
	c.Line("it says something")
	if c.Output != nil {
		_, _ = c.Output.Write([]byte(b.give(c.Env)))
	}
	return syscall.WaitStatus(b.run(c.Argv, c.Input) << 8), nil
}

func (b *bench) Ask(ctx context.Context, prompt string) (string, error) {
	b.mu.Lock()
	b.asked = append(b.asked, prompt)
	if len(b.answers) > 0 {
		s := b.answers[0]
		b.answers = b.answers[1:]
		b.mu.Unlock()
		return s, nil
	}
	b.mu.Unlock()
	<-ctx.Done()
	return "", ctx.Err()
}

// engine takes a program of this machine for each of the ramdisk's.
func (b *bench) engine(t *testing.T, line string) (*Engine, *strings.Builder) {
	t.Helper()
	if program("mdadm") == "" || program("cryptsetup") == "" {
		t.Fatal("mdadm and cryptsetup are not installed: scripts/packages check")
	}
	b.changed = make(chan struct{})
	var log strings.Builder
	return New(Options{Log: console.NewLog(&log), Devices: b, Runner: b, Asker: b, Module: func(string) {}, Line: cmdline.Parse(line, "test")}), &log
}

func TestDegradedAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{blocks: []*device.Block{member("vda", u1)}}
		b.run = func(argv []string, _ string) int {
			switch {
			case argv[1] == "--incremental":
				b.arrays = []device.Array{{Name: "md127", State: "inactive", Members: []string{"vda"}, Disks: 2}}
			case argv[1] == "--run":
				b.arrays[0].State, b.arrays[0].Level = "clean", "raid1"
				b.blocks = append(b.blocks, &device.Block{Name: "md127", Label: "root"})
			}
			return 0
		}
		e, _ := b.engine(t, "rd.md.uuid="+u1)
		start := time.Now()
		path, _, err := e.Wait(t.Context(), "LABEL=root", 90*time.Second)
		if err != nil || path != "/dev/md127" {
			t.Fatalf("%s, %v", path, err)
		}
		if d := time.Since(start); d != time.Minute {
			t.Errorf("started after %s, not after two thirds of the limit", d)
		}
		if d := cmp.Diff([]string{"mdadm --incremental /dev/vda", "mdadm --run /dev/md127"}, b.ran); d != "" {
			t.Error(d)
		}
	})
}

func TestNeverThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{blocks: []*device.Block{pv("sda")}, run: func([]string, string) int { return 5 }}
		e, log := b.engine(t, "rd.md.uuid="+u1+" bareroot.degraded=3 rd.lvm=0")
		_, _, err := e.Wait(t.Context(), "LABEL=root", 25*time.Second)
		want := "not there within 25s: LABEL=root; array 11111111222233334444555555555555 (rd.md.uuid): no member seen; devices seen: what is seen; sda: physical volumes, but rd.lvm=0"
		if err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
		if n := strings.Count(log.String(), "waiting for LABEL=root; array"); n != 2 {
			t.Errorf("it said %d times in 25 s what it waits for:\n%s", n, log)
		}
	})
}

func TestPassphrase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{blocks: []*device.Block{crypt("vda", u1), crypt("vdb", u2)}, answers: []string{"wrong", "right"}}
		b.run = func(argv []string, input string) int {
			if input != "right" {
				return 2
			}
			dev, name := filepath.Base(argv[len(argv)-2]), argv[len(argv)-1]
			n := fmt.Sprintf("dm-%d", len(b.mapped))
			b.mapped = append(b.mapped, device.Mapped{Name: n, Title: name, UUID: "CRYPT-LUKS1-x", Under: []string{dev}})
			b.blocks = append(b.blocks, &device.Block{Name: n, Label: n})
			return 0
		}
		e, _ := b.engine(t, "rd.luks.uuid="+u1+" rd.luks.uuid="+u2)
		if _, _, err := e.Wait(t.Context(), "LABEL=dm-1", time.Minute); err != nil {
			t.Fatal(err)
		}
		if len(b.asked) != 2 || !strings.Contains(b.asked[1], "try 2 of 5") {
			t.Errorf("asked: %q", b.asked)
		}
	})
}

func TestWrongPassphrases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{blocks: []*device.Block{crypt("vda", u1)}, answers: []string{"a", "b", "c", "d"}, run: func([]string, string) int { return 2 }}
		e, _ := b.engine(t, "rd.luks.uuid="+u1+" rd.luks.options=tries=2")
		_, _, err := e.Wait(t.Context(), "LABEL=x", time.Hour)
		if !errors.Is(err, errNoKey) || len(b.asked) != 2 {
			t.Errorf("%v after %q", err, b.asked)
		}
		// Another try of the stage asks again.
		if _, _, err = e.Wait(t.Context(), "LABEL=x", time.Hour); !errors.Is(err, errNoKey) || len(b.asked) != 4 {
			t.Errorf("%v after %q", err, b.asked)
		}
	})
}

// TestAPersonTakesTime: the limit does not run while a question is open, and
// the question ends when the device comes in another way.
func TestAPersonTakesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{blocks: []*device.Block{crypt("vda", u1)}, run: func([]string, string) int { return 2 }}
		e, _ := b.engine(t, "rd.luks.uuid="+u1)
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(10 * time.Minute)
			b.change(func() {
				b.mapped = []device.Mapped{{Name: "dm-0", Title: "by-hand", UUID: "CRYPT-LUKS2-x", Under: []string{"vda"}}}
				b.blocks = append(b.blocks, &device.Block{Name: "dm-0", Label: "root"})
			})
		})
		path, _, err := e.Wait(t.Context(), "LABEL=root", time.Minute)
		wg.Wait()
		if err != nil || path != "/dev/dm-0" || len(b.asked) != 1 {
			t.Errorf("%s, %v, asked %q", path, err, b.asked)
		}
	})
}

func TestADeviceThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{blocks: []*device.Block{member("vda", u1)}, run: func([]string, string) int { return 1 }}
		e, _ := b.engine(t, "rd.md.uuid="+u1)
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(time.Second)
			b.change(func() { b.blocks = nil })
			time.Sleep(time.Second)
			b.change(func() { b.blocks = []*device.Block{member("vda", u1)} })
		})
		_, _, err := e.Wait(t.Context(), "LABEL=root", 5*time.Second)
		wg.Wait()
		if err == nil || !strings.Contains(err.Error(), "mdadm --incremental /dev/vda: exit code 1: it says something") {
			t.Error(err)
		}
		if d := cmp.Diff([]string{"mdadm --incremental /dev/vda", "mdadm --incremental /dev/vda"}, b.ran); d != "" {
			t.Error(d)
		}
	})
}

// TestOthersAreLeftAlone: while the named device is being opened, nothing else
// is assembled.
func TestOthersAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{blocks: []*device.Block{crypt("vda", u1), pv("vdb")}, run: func([]string, string) int { return 2 }}
		e, _ := b.engine(t, "rd.luks.uuid="+u1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, _, err := e.Wait(ctx, "LABEL=root", time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if len(b.ran) != 0 || len(b.asked) != 1 {
			t.Errorf("ran %q, asked %q", b.ran, b.asked)
		}
	})
}

// TestFoundAtTheLastMoment: a device of a btrfs that appears while the machine
// is looked at does not count as all of it.
func TestFoundAtTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{}
		b.find = func() {
			one := pool("sda", 1, 2)
			one.Label = "pool"
			b.blocks = []*device.Block{one}
		}
		e, _ := b.engine(t, "")
		_, _, err := e.Wait(t.Context(), "LABEL=pool", 3*time.Second)
		if err == nil || !strings.Contains(err.Error(), "missing: device 2") {
			t.Error(err)
		}
	})
}

// TestTokens reads headers that cryptsetup makes.
func TestTokens(t *testing.T) {
	p := filepath.Join(t.TempDir(), "luks")
	if err := os.WriteFile(p, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(input string, argv ...string) {
		t.Helper()
		c := exec.Command(argv[0], argv[1:]...)
		c.Stdin = strings.NewReader(input)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", argv, err, out)
		}
	}
	run("x", "cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", "-", p)
	if tokens(p) {
		t.Error("a new header has tokens")
	}
	run(`{"type":"mine","keyslots":["0"]}`, "cryptsetup", "token", "import", "--json-file", "-", p)
	if !tokens(p) {
		t.Error("the token is not seen")
	}
	if tokens("/dev/null") || tokens("/nothing") {
		t.Error("nothing has tokens")
	}
}
