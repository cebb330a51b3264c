// Package rootfs makes the root of the machine appear at /sysroot and hands
// the machine over to it. A root parses its words, prepares (waits for its
// device, downloads), mounts, and is handed over; stopping at shutdown is the
// root's own. Layout of live roots as dracut's dmsquash-live makes it.
//
// Parse reads root= alone. A root on the network is what root=, netroot= and
// nfsroot= say together: a Kind of that sort takes it from cmdline.ParseRoots.
package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
	"bareroot/internal/run/device"
	"bareroot/internal/run/errand"
)

// Target is where the root is mounted.
const Target = "/sysroot"

// Devices finds block devices.
type Devices interface {
	Wait(ctx context.Context, form string, limit time.Duration) (string, device.Block, error)
}

// Env is what a root may use.
type Env struct {
	Log      *console.Log
	Line     cmdline.Line
	Devices  Devices
	Module   func(name string) // loads a module; a failure shows at the mount
	Limit    time.Duration     // of each wait
	Progress func(done, total, rate int64)

	// Download runs an errand of that kind, or asks for a size.
	Download func(ctx context.Context, e errand.Errand, hear func(errand.Answer)) (errand.Answer, error)

	Has func(program string) bool // is a program in this ramdisk
	// Run runs one and gives its exit code; line gets what it says.
	Run func(ctx context.Context, argv []string, line func(string)) (code int, err error)
}

// Root is one root of one boot.
type Root interface {
	Describe() string
	Network() bool // must the network be up for Prepare
	Prepare(context.Context, *Env) error
	Mount(context.Context, *Env) error
	// HandOver changes what the mounted root must not find as it is.
	HandOver(context.Context, *Env) error
	// Stop undoes Prepare and Mount as far as they came, for another try.
	Stop()
}

// Kind makes roots of one kind.
type Kind struct {
	Name string
	New  func(cmdline.Root, cmdline.Line) (Root, error)
}

// Kinds is the list of roots.
func Kinds() []Kind {
	return []Kind{
		{"live", newLive},
		{"live-block", newLiveBlock},
		{"block", newBlock},
	}
}

// ErrNone is the error for a command line without root=.
var ErrNone = errors.New("the command line has no root=")

// Parse finds the root that a line asks for.
func Parse(l cmdline.Line) (Root, error) {
	v, ok := l.Get("root")
	if !ok || v == "" {
		return nil, fmt.Errorf("%w, so there is nothing to boot into; give root=LABEL=..., root=live:http://... or a role", ErrNone)
	}
	spec, err := cmdline.ParseRoot(v)
	if err != nil {
		return nil, err
	}
	for _, k := range Kinds() {
		if k.Name == spec.Kind {
			return k.New(spec, l)
		}
	}
	return nil, fmt.Errorf("root=%s: no root of kind %q in this ramdisk", v, spec.Kind)
}

// resolveIn follows path inside root: symlinks, also absolute ones, never
// leave it.
func resolveIn(root, path string) string {
	p := filepath.Clean("/" + path)
	for range 40 {
		cur := ""
		again := false
		parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
		for i, part := range parts {
			next := cur + "/" + part
			to, err := os.Readlink(root + next)
			if err != nil {
				cur = next
				continue
			}
			if !strings.HasPrefix(to, "/") {
				to = cur + "/" + to
			}
			p = filepath.Clean("/" + to + "/" + strings.Join(parts[i+1:], "/"))
			again = true
			break
		}
		if !again {
			return root + p
		}
	}
	return root + p
}

// FindInit returns the program in root that becomes PID 1, as seen from
// inside.
//
// real_init= and rd.distroinit= are dracut's: the one comes before init=, the
// others after it, and each counts only if the root has the program.
func FindInit(root string, l cmdline.Line) (string, error) {
	if n, ok := l.Get("real_init"); ok && executable(resolveIn(root, n)) {
		return n, nil
	}
	if want, ok := l.Get("init"); ok && want != "" {
		if executable(resolveIn(root, want)) {
			return want, nil
		}
		return "", fmt.Errorf("init=%s: no such program in the root", want)
	}
	var names []string
	for _, w := range l.All("rd.distroinit") {
		names = append(names, w.Value)
	}
	names = append(names, "/sbin/init", "/etc/init", "/bin/init", "/bin/sh")
	for _, n := range names {
		if executable(resolveIn(root, n)) {
			return n, nil
		}
	}
	return "", fmt.Errorf("the root has no init: looked for %s", strings.Join(names, ", "))
}

func executable(p string) bool {
	fi, err := os.Stat(p)
	return err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0
}
