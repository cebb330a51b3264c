// Package vm holds the tests that boot real ramdisks with a real kernel and
// real firmware against the real server, judged from the console, the disk
// and the server's API.
package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/hosttool"
	"bareroot/internal/lab/qemu"
	"bareroot/internal/lab/sysimage"
	"bareroot/tests/vm/vmtest"
)

func TestMain(m *testing.M) { vmtest.Main(m) }

// Bounds. Emulated machines on two busy cores are slow.
const (
	boundBoot  = 4 * time.Minute // power-on to facts, or to a boot loader on disk
	boundOrder = 6 * time.Minute
)

// Words that the test images say when they are reached.
const (
	diskReached = "TEST-IMAGE-REACHED"
	liveReached = "LIVE-ROOT-REACHED"
)

// site is a server on the bridge with a boot set and images.
type site struct {
	dir   string
	image sysimage.Image
	raw   string // the disk image, not compressed

	mu     sync.Mutex
	client *client.Client
	server *exec.Cmd
	ended  chan struct{}
}

var theSite = sync.OnceValues(newSite)

// start returns the one site of this test run, with its server up.
func start(t *testing.T) *site {
	t.Helper()
	vmtest.Need(t)
	s, err := theSite()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			b, _ := os.ReadFile(filepath.Join(s.dir, "server.log"))
			lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
			t.Logf("server's last lines:\n%s", bytes.Join(lines[max(0, len(lines)-25):], []byte("\n")))
		}
	})
	return s
}

// newSite builds everything with the programs of this checkout.
func newSite() (*site, error) {
	ctx := context.Background()
	dir, err := vmtest.Folder()
	if err != nil {
		return nil, err
	}
	s := &site{dir: dir}
	if err := s.images(ctx); err != nil {
		return nil, err
	}
	if err := s.bootset(ctx, "bootset", ""); err != nil {
		return nil, err
	}
	config := map[string]any{
		"state_dir":  filepath.Join(dir, "state"),
		"interfaces": []any{map[string]any{"name": "br0", "dhcp": "authoritative", "range": "10.77.0.100-10.77.0.199", "router_advertisement": true}},
		"admin":      map[string]any{"listen": "none", "socket": filepath.Join(dir, "admin.sock")},
	}
	b, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "bareroot.yaml"), b, 0o644); err != nil {
		return nil, err
	}
	if err := s.serve(ctx); err != nil {
		return nil, err
	}
	if _, err := s.client.AddBootSet(ctx, api.BootSetRequest{Name: "generic", Path: filepath.Join(dir, "bootset")}); err != nil {
		return nil, err
	}
	for _, r := range []api.ImageRequest{
		{Name: "disk", Path: s.image.RawZst, SHA256: s.image.SHA256},
		{Name: "live", Path: s.image.Squashfs, SHA256: s.image.SquashfsSHA256},
	} {
		if _, err := s.client.AddImage(ctx, r); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// bootset builds one, as an operator does.
func (s *site) bootset(ctx context.Context, name, words string, options ...string) error {
	bin, err := vmtest.Program("bareroot")
	if err != nil {
		return err
	}
	k, err := kernel(ctx)
	if err != nil {
		return err
	}
	// An emulated machine on a busy host can miss the kernel's test of its
	// timer: no_timer_check.
	_, err = hosttool.Run(ctx, append([]string{bin, "build", "--kernel", k.Image, "--modules-dir", k.ModulesDir, "--kver", k.Version, "--role", "discover", "--role", "deploy",
		"--cmdline", "console=ttyS0,115200 no_timer_check " + words, "--format", "dir", "-o", filepath.Join(s.dir, name)}, options...)...)
	return err
}

// images makes a disk image whose boot loader says that it was reached, under
// BIOS and UEFI, with enough random bytes that a download takes its time;
// and a live root that says what it stands on.
func (s *site) images(ctx context.Context) error {
	var err error
	s.image, err = sysimage.FromTree(ctx, filepath.Join(s.dir, "image"), func(tree string) error {
		bulk := make([]byte, 100<<20)
		_, _ = rand.NewChaCha8([32]byte{1}).Read(bulk) // never fails
		box, err := os.ReadFile("/bin/busybox")
		if err != nil {
			return err
		}
		for _, f := range []struct {
			path string
			mode os.FileMode
			data []byte
		}{
			{"boot/grub/grub.cfg", 0o644, []byte("serial --unit=0 --speed=115200\nterminal_output serial\necho " + diskReached + "\n")},
			{"boot/vmlinuz-none", 0o644, nil},
			{"bulk", 0o644, bulk},
			{"bin/busybox", 0o755, box},
			{"etc/fstab", 0o644, []byte("LABEL=root / ext4 defaults 0 1\nLABEL=data /data ext4 noauto 0 2\n")},
			{"sbin/init", 0o755, []byte(`#!/bin/busybox sh
exec >/dev/console 2>&1
b=/bin/busybox
$b echo written >/proof && $b echo overlay $($b cat /proof) on $($b awk '$2=="/"{print $3}' /proc/mounts)
$b echo fstab: $($b cat /etc/fstab)
$b echo pid $$ left $($b ls / | $b tr '\n' ' ')
$b echo ` + liveReached + `
while :; do $b sleep 1000; done
`)},
		} {
			p := filepath.Join(tree, f.path)
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(p, f.data, f.mode); err != nil {
				return err
			}
		}
		for _, d := range []string{"proc", "sys", "dev", "run", "tmp"} {
			if err := os.MkdirAll(filepath.Join(tree, d), 0o755); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.raw = filepath.Join(s.dir, "disk.raw")
	_, err = hosttool.Run(ctx, "zstd", "-dqf", s.image.RawZst, "-o", s.raw)
	return err
}

// serve starts the server and waits for its first answer.
func (s *site) serve(ctx context.Context) error {
	bin, err := vmtest.Program("bareroot")
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(bin, "serve", "--config", filepath.Join(s.dir, "bareroot.yaml"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }() // how it ended is in its log
	c, err := client.New(client.Options{Server: "unix://" + filepath.Join(s.dir, "admin.sock")})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.server, s.ended, s.client = cmd, ended, c
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err = c.Status(ctx); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ended:
			b, _ := os.ReadFile(filepath.Join(s.dir, "server.log"))
			return fmt.Errorf("the server ended at once: %s", bytes.TrimSpace(b))
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
}

// kill ends the server as a crash does.
func (s *site) kill(t *testing.T) {
	t.Helper()
	if err := s.server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
}

func (s *site) api() *client.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

// wait polls the machine of v until ok says so.
func (s *site) wait(t *testing.T, v *vmtest.VM, what string, bound time.Duration, ok func(*api.Machine) bool) *api.Machine {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	last := "the server has not heard of it"
	for {
		m, err := s.api().Machine(ctx, v.Spec().UUID)
		switch {
		case err == nil && ok(m):
			return m
		case err == nil:
			last = m.Status + ": " + m.Message
		case !errors.As(err, new(*api.Problem)) && ctx.Err() == nil:
			last = err.Error()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %v for %s: %s", bound, what, last)
		}
	}
}

// discovered waits until the machine's facts have come, and approves it.
func (s *site) discovered(t *testing.T, v *vmtest.VM) *api.Machine {
	t.Helper()
	m := s.wait(t, v, "its facts", boundBoot, func(m *api.Machine) bool { return m.Facts != nil })
	if _, err := s.api().Approve(t.Context(), m.ID, api.ApproveRequest{}); err != nil {
		t.Fatal(err)
	}
	return m
}

// order places one for the machine and returns its id.
func (s *site) order(t *testing.T, v *vmtest.VM, req api.OrderRequest) string {
	t.Helper()
	o, err := s.api().PlaceOrder(t.Context(), v.Spec().UUID, req)
	if err != nil {
		t.Fatal(err)
	}
	return o.ID
}

// orderEnds waits for the end of an order.
func (s *site) orderEnds(t *testing.T, v *vmtest.VM, id string) *api.OrderDetail {
	t.Helper()
	s.wait(t, v, "the end of order "+id, boundOrder, func(m *api.Machine) bool {
		return m.Order != nil && m.Order.ID == id && (m.Order.State == api.StateDone || m.Order.State == api.StateFailed)
	})
	d, err := s.api().Order(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// writing waits until a good part of the image is on its way to the disk.
func (s *site) writing(t *testing.T, v *vmtest.VM, id string) {
	t.Helper()
	s.wait(t, v, "a part of the image to be written", boundOrder, func(m *api.Machine) bool {
		if m.Order != nil && m.Order.ID == id && (m.Order.State == api.StateDone || m.Order.State == api.StateFailed) {
			t.Fatalf("order %s is %s before it could be disturbed: %s", id, m.Order.State, m.Order.Message)
		}
		return m.Order != nil && m.Order.Progress != nil && m.Order.Progress.Done > 8<<20
	})
}

// netbooting is a machine that tries the network first.
func netbooting(name, firmware string, disks ...qemu.Disk) qemu.Spec {
	return qemu.Spec{Name: name, Firmware: firmware, MemoryMiB: 1024, Boot: []string{qemu.BootNetwork, qemu.BootDisk}, NICs: []qemu.NIC{{}}, Disks: disks}
}
