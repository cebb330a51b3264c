// Package demo is the guided tour: one call takes blank machines of a lab
// from power-on to a running system, with a real kernel, a real system image
// and real firmware, and shows what happens. It uses the programs and the
// API as an operator would: "bareroot build", "bareroot lab up", "bareroot
// serve" and the admin API. The lab stays up afterwards, to be looked at.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/hosttool"
	"bareroot/internal/human"
	"bareroot/internal/lab"
	"bareroot/internal/lab/distro"
	"bareroot/internal/lab/netns"
	"bareroot/internal/lab/sysimage"
)

// Names the demo registers with its server.
const (
	imageDisk = "debian"
	imageLive = "debian-live"
	bootSet   = "generic"
)

// Options of the tour.
type Options struct {
	StateDir string // emptied at the start
	CacheDir string // kernel and system image, kept
	Machines int
	NoPage   bool
	Stop     bool   // end the lab afterwards
	Program  string // the bareroot program
	Out      io.Writer
	Terminal bool       // Out is one
	Width    func() int // its columns now, 0 if not known; nil = do not cut
}

// tour is one run.
type tour struct {
	Options
	start  time.Time
	spent  []phase
	kernel distro.Found
	image  sysimage.Image
	client *client.Client
	admin  string // URL of the operator's door
}

type phase struct {
	what string
	took time.Duration
}

// Run is the whole demo. It fails unless every machine reached its goal.
func Run(ctx context.Context, o Options) error {
	if err := netns.CheckTun(); err != nil {
		return err
	}
	t := &tour{Options: o, start: time.Now()}
	for _, s := range []struct {
		what string
		run  func(context.Context) error
	}{
		{"clear the last run's lab", t.clear},
		{"distribution kernel", t.findKernel},
		{"system image", t.makeImage},
		{"boot set", t.build},
		{"lab and server", t.up},
	} {
		if err := t.step(ctx, s.what, s.run); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	defer t.client.Close()
	outs, err := t.machines(ctx)
	if err != nil {
		if !t.Stop {
			fmt.Fprintf(t.Out, "\nThe lab stays up; end it with: %s lab down --state %s\n", t.Program, t.StateDir)
			return err
		}
		down, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return errors.Join(err, lab.Down(down, t.StateDir))
	}
	fmt.Fprintln(t.Out)
	report(t.Out, outs)
	t.where(outs)
	failed := 0
	for _, o := range outs {
		if o.Err != nil {
			failed++
		}
	}
	if t.Stop {
		if err := lab.Down(ctx, t.StateDir); err != nil {
			return err
		}
	} else {
		t.hints()
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d machines did not reach their goal", failed, len(outs))
	}
	return nil
}

// step runs one part and says how long it took.
func (t *tour) step(ctx context.Context, what string, run func(context.Context) error) error {
	began := time.Now()
	if t.Terminal {
		fmt.Fprintf(t.Out, "%-26s ...", what)
	}
	err := run(ctx)
	took := time.Since(began)
	t.spent = append(t.spent, phase{what, took})
	if t.Terminal {
		fmt.Fprint(t.Out, "\r\x1b[K")
	}
	if err == nil {
		fmt.Fprintf(t.Out, "%-26s %s\n", what, human.Duration(took))
	}
	return err
}

func (t *tour) clear(ctx context.Context) error {
	if err := lab.Down(ctx, t.StateDir); err != nil && !errors.Is(err, lab.ErrNotUp) {
		return err
	}
	if err := os.RemoveAll(t.StateDir); err != nil {
		return err
	}
	return os.MkdirAll(t.StateDir, 0o755)
}

func (t *tour) findKernel(ctx context.Context) (err error) {
	t.kernel, err = distro.Kernel(ctx, t.CacheDir)
	return err
}

func (t *tour) makeImage(ctx context.Context) (err error) {
	t.image, err = sysimage.Build(ctx, t.CacheDir, func(s string) {
		if !t.Terminal {
			fmt.Fprintf(t.Out, "  %s\n", s)
		}
	})
	return err
}

// build makes the boot set as an operator does.
func (t *tour) build(ctx context.Context) error {
	// An emulated machine on a busy host can miss the kernel's test of its
	// timer: no_timer_check.
	_, err := hosttool.Run(ctx, t.Program, "build", "--kernel", t.kernel.Image, "--modules-dir", t.kernel.ModulesDir, "--kver", t.kernel.Version,
		"--role", "discover", "--role", "deploy", "--cmdline", "console=tty0 console=ttyS0,115200 no_timer_check quiet", "--format", "dir", "-o", filepath.Join(t.StateDir, "bootset"),
		"--cache-dir", filepath.Join(t.CacheDir, "build"))
	return err
}

// up starts the lab with the server in it, and registers boot set and images.
func (t *tour) up(ctx context.Context) error {
	cfg, err := t.write()
	if err != nil {
		return err
	}
	if _, err := hosttool.Run(ctx, t.Program, "lab", "up", "--detach", "--state", t.StateDir, "--config", cfg, "--cache", t.CacheDir); err != nil {
		return err
	}
	st, err := lab.GetStatus(ctx, t.StateDir)
	if err != nil {
		return err
	}
	t.admin = "http://" + st.Addresses["server/admin"]
	if err := t.connect(ctx); err != nil {
		return err
	}
	if _, err := t.client.AddBootSet(ctx, api.BootSetRequest{Name: bootSet, Path: filepath.Join(t.StateDir, "bootset")}); err != nil {
		return err
	}
	for _, r := range []api.ImageRequest{
		{Name: imageDisk, Path: t.image.RawZst, SHA256: t.image.SHA256},
		{Name: imageLive, Path: t.image.Squashfs, SHA256: t.image.SquashfsSHA256},
	} {
		if _, err := t.client.AddImage(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// connect waits for the server's first answer.
func (t *tour) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := client.New(client.Options{Server: t.admin, TokenFile: t.tokenFile()})
		if err == nil {
			if _, err = c.Status(ctx); err == nil {
				t.client = c
				return nil
			}
			c.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer; its log is %s: %w", filepath.Join(t.StateDir, "services/server.log"), err)
		}
	}
}

func (t *tour) tokenFile() string { return filepath.Join(t.StateDir, "server/admin.token") }

// machines drives all of them at once.
func (t *tour) machines(ctx context.Context) ([]outcome, error) {
	if !t.NoPage {
		code, err := t.client.LoginCode(ctx)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(t.Out, "\npage: %s  (opens once, until %s; then: see below)\n", code.URL, code.Expires.Local().Format("15:04"))
	}
	fmt.Fprintln(t.Out)
	st, err := lab.GetStatus(ctx, t.StateDir)
	if err != nil {
		return nil, err
	}
	targets := targets(t.Machines, st)
	rows := make([]row, len(targets))
	for i, g := range targets {
		rows[i] = row{Name: g.Name, Firmware: g.Firmware, State: "off"}
	}
	began := time.Now()
	d := newDisplay(t.Out, t.Terminal, t.Width, began, rows)
	outs := make([]outcome, len(targets))
	var wg sync.WaitGroup
	for i, g := range targets {
		wg.Go(func() { outs[i] = drive(ctx, t.client, g, func(f func(*row)) { d.set(i, f) }) })
	}
	wg.Wait()
	t.spent = append(t.spent, phase{"machines, side by side", time.Since(began)})
	return outs, ctx.Err()
}

// where says where the time went.
func (t *tour) where(outs []outcome) {
	fmt.Fprintf(t.Out, "\nwhere the time went (%s in all):\n", human.Duration(time.Since(t.start)))
	for _, p := range t.spent {
		fmt.Fprintf(t.Out, "  %-26s %9s\n", p.what, human.Duration(p.took))
	}
	if st, err := lab.GetStatus(context.Background(), t.StateDir); err == nil && st.Accel == "tcg" && len(outs) > 0 {
		fmt.Fprintf(t.Out, "the machines' processors are emulated (%s); with KVM the guests' part shrinks several times\n", st.AccelWhy)
	}
}

// hints says what one can do now.
func (t *tour) hints() {
	rel := func(p string) string {
		if wd, err := os.Getwd(); err == nil {
			if r, err := filepath.Rel(wd, p); err == nil && !strings.HasPrefix(r, "..") {
				return r
			}
		}
		return p
	}
	b := rel(t.Program)
	if !strings.Contains(b, "/") {
		b = "./" + b
	}
	state := rel(t.StateDir)
	token := rel(t.tokenFile())
	if !filepath.IsAbs(token) {
		token = "$PWD/" + token // the variable is to be good in other directories too
	}
	fmt.Fprintf(t.Out, `
The lab stays up. Try:
  %[1]s lab console m1 --state %[2]s      a console (user root, no password; Ctrl-] leaves)
  export BAREROOT_SERVER=%[3]s BAREROOT_TOKEN_FILE=%[4]s
  %[1]s machine list                            also: machine show m1, order list, machine logs m1
  %[1]s page                                    a fresh link to the page
  ./demo                                             again, from blank machines
  ./demo stop                                        end the lab; ./demo clean removes all that it made
`, b, state, t.admin, token)
}

// targets pairs the lab's machines with their goals: the one with two disks
// runs live, the others are deployed.
func targets(n int, st lab.Status) []target {
	var out []target
	for _, m := range st.Machines[:n] {
		out = append(out, target{Name: m.Name, Firmware: m.Firmware, Live: len(m.Disks) == 2, Console: m.Log})
	}
	return out
}

// writeJSON is for configuration files: YAML is a superset.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
