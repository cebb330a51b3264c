package cache

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The environment variables that make this test program another process.
const (
	envPart = "BAREROOT_CACHE_TEST_PART"
	envDir  = "BAREROOT_CACHE_TEST_DIR"
)

func child(t *testing.T, part, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestPart$", "-test.v")
	cmd.Env = append(os.Environ(), envPart+"="+part, envDir+"="+dir)
	return cmd
}

// TestPart is what the other processes do; by itself it does nothing.
func TestPart(t *testing.T) {
	dir := os.Getenv(envDir)
	switch part := os.Getenv(envPart); part {
	case "":
		return
	case "build", "forever":
		for round := 0; round < 10 || part == "forever"; round++ {
			c := open(t, dir, 48<<10)
			for range 60 {
				work(t, c, rand.IntN(60))
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if n := c.Notice(); n != "" {
				t.Error(n)
			}
		}
	case "clean":
		for range 40 {
			if _, err := open(t, dir, 0).Clean(); err != nil {
				t.Error(err)
			}
		}
	case "damage":
		for range 200 {
			units, err := filepath.Glob(filepath.Join(dir, "??/*"))
			if err != nil {
				t.Error(err)
			}
			if len(units) == 0 {
				continue
			}
			f, err := os.OpenFile(units[rand.IntN(len(units))], os.O_WRONLY, 0)
			if err != nil {
				continue // it was just removed
			}
			f.WriteAt([]byte("damage"), rand.Int64N(1000))
			f.Close()
		}
	case "full":
		mountTmpfs(t, dir, "size=256k")
		c := open(t, dir, 0)
		for i := range 100 {
			c.Put(key(fmt.Sprint(i)), make([]byte, 10<<10))
		}
		n := c.Notice()
		if !strings.Contains(n, "no space left") {
			t.Errorf("notice %q", n)
		}
		tmp, err := filepath.Glob(filepath.Join(dir, "tmp-*"))
		if err != nil || tmp != nil {
			t.Errorf("%v: left behind: %v", err, tmp)
		}
		if _, ok := c.Get(key("0")); !ok {
			t.Error("what was put before is gone")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	case "readonly":
		mountTmpfs(t, dir, "size=1m")
		c := open(t, dir, 0)
		c.Put(key("x"), []byte("x"))
		if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		c = open(t, dir, 0)
		c.now = func() time.Time { return time.Now().Add(24 * time.Hour) } // to be touched
		if _, ok := c.Get(key("x")); !ok {
			t.Error("a read-only store gives nothing")
		}
		if c.Notice() != "" {
			t.Error("reading gives a notice")
		}
		c.Put(key("y"), []byte("y"))
		if n := c.Notice(); !strings.Contains(n, "read-only") {
			t.Errorf("notice %q", n)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func mountTmpfs(t *testing.T, dir, options string) {
	t.Helper()
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, options+",mode=0700"); err != nil {
		t.Fatal(err)
	}
}

// TestProcesses: builds, a clean and something that damages units, all at once:
// no build sees a wrong byte or fails.
func TestProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	var all []*exec.Cmd
	var out []*strings.Builder
	for _, part := range []string{"build", "build", "build", "build", "clean", "damage"} {
		cmd := child(t, part, dir)
		b := new(strings.Builder)
		cmd.Stdout, cmd.Stderr = b, b
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all, out = append(all, cmd), append(out, b)
	}
	for i, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, out[i])
		}
	}
	c := open(t, dir, 48<<10)
	c.Put(key("last"), nil)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s, err := c.Stats()
	if err != nil || s.Bytes > s.Max || s.Entries == 0 {
		t.Errorf("%v: %+v", err, s)
	}
	if tmp, err := filepath.Glob(filepath.Join(dir, "tmp-*")); err != nil || tmp != nil {
		t.Errorf("%v: left behind: %v", err, tmp)
	}
}

// TestKilled: what a killed build leaves is whole or not there.
func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	for range 5 {
		cmd := child(t, "forever", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(time.Minute)
		for { // until it has written something
			if units, err := filepath.Glob(filepath.Join(dir, "??/*")); err != nil || len(units) > 3 || time.Now().After(deadline) {
				break
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) {
			t.Fatalf("it was not killed: %v", err)
		}
		c := open(t, dir, 0)
		list, err := c.entries()
		if err != nil {
			t.Fatal(err)
		}
		units := 0
		for i := range 60 {
			k := key(fmt.Sprint(i))
			path := c.path(k, k.id())
			if _, err := os.Stat(path); err != nil {
				continue
			}
			if _, ok := c.Get(k); !ok {
				t.Errorf("unit %d is damaged", i)
			}
			units++
		}
		if units == 0 {
			t.Errorf("none of %d files is a unit", len(list))
		}
		if _, err := c.Clean(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoRoom: a full and a read-only folder, in a mount namespace.
func TestNoRoom(t *testing.T) {
	for _, part := range []string{"full", "readonly"} {
		t.Run(part, func(t *testing.T) {
			cmd := child(t, part, t.TempDir())
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
			if os.Geteuid() != 0 {
				cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
				cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			}
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Skipf("no namespace here to mount in: %v", err)
			}
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestPlaceWhileCleaned: the folder of a unit goes as often as it is made, as
// when two processes clean the store: no error, and nothing is left behind.
func TestPlaceWhileCleaned(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "store"), 0)
	if !c.prepare() {
		t.Fatal(c.Notice())
	}
	shard := filepath.Join(c.dir, "00")
	stop := make(chan struct{})
	var cleaners sync.WaitGroup
	for range 2 {
		cleaners.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					os.Remove(shard)
				}
			}
		})
	}
	for i := range 2000 {
		f, err := c.createTemp()
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		path := filepath.Join(shard, "unit")
		if err := place(f.Name(), path); err != nil {
			t.Fatalf("unit %d: %v", i, err)
		}
		os.Remove(path)
	}
	close(stop)
	cleaners.Wait()
	if tmp, err := filepath.Glob(filepath.Join(c.dir, "tmp-*")); err != nil || tmp != nil {
		t.Errorf("%v: %d left behind", err, len(tmp))
	}
}
