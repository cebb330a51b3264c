package assemble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"bareroot/internal/run/console"
	"bareroot/internal/sys"
)

// keyDir is where devices with keys and headers are mounted while they are
// read, each in a directory of its own.
const keyDir = "/run/bareroot/key"

// keyDirs are where systemd looks for NAME.key if crypttab says nothing.
var keyDirs = []string{"/etc/cryptsetup-keys.d", "/run/cryptsetup-keys.d"}

// keys are the key files to try.
func (u *Unlock) keys() []KeyFile {
	if len(u.Keys) > 0 || u.Script != "" {
		return u.Keys
	}
	for _, dir := range keyDirs {
		p := filepath.Join(dir, u.Name+".key")
		if _, err := os.Stat(p); err == nil {
			return []KeyFile{{Path: p}}
		}
	}
	return nil
}

// byFile opens with a key file, which may be on a device of its own.
func (o *opener) byFile(ctx context.Context, k KeyFile) error {
	path, done, err := o.reach(ctx, k, "key")
	if err != nil {
		return err
	}
	defer done()
	args := []string{"--key-file", path}
	if k.Offset > 0 {
		args = append(args, "--keyfile-offset", strconv.FormatInt(k.Offset, 10))
	}
	if k.Size > 0 {
		args = append(args, "--keyfile-size", strconv.FormatInt(k.Size, 10))
	}
	return o.try(ctx, "", args...)
}

// reach makes a file readable that may be on a device of its own, as what it
// is for. done ends that.
func (o *opener) reach(ctx context.Context, k KeyFile, what string) (path string, done func(), err error) {
	path, done = k.Path, func() {}
	switch {
	case k.Device != "":
		dev, fs, err := o.await(ctx, k.Device, o.u.KeyWait)
		if err != nil {
			return "", nil, err
		}
		o.Module(fs)
		dir := filepath.Join(keyDir, filepath.Base(o.u.Device)+"-"+what)
		if err := sys.Mount(dev, dir, fs, "ro,nosuid,nodev,noexec"); err != nil {
			return "", nil, err
		}
		path, done = filepath.Join(dir, filepath.Join("/", path)), func() { _ = sys.Unmount(dir) }
	case strings.HasPrefix(path, "/dev/"):
		if path, _, err = o.await(ctx, path, o.u.KeyWait); err != nil {
			return "", nil, err
		}
	}
	if _, err := os.Stat(path); err != nil {
		done()
		return "", nil, fmt.Errorf("read it: %w", err)
	}
	return path, done, nil
}

// scriptDir is where Debian keeps key scripts that are named without a path.
const scriptDir = "/lib/cryptsetup/scripts"

// byScript opens with what a key script writes (crypttab(5) of Debian). It is
// asked again while it gives another key than before.
func (o *opener) byScript(ctx context.Context) error {
	path := o.u.Script
	if !strings.HasPrefix(path, "/") {
		path = filepath.Join(scriptDir, path)
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("run it: %w: build the ramdisk with it (--include), and with all that it needs", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, runBound, fmt.Errorf("it took longer than %s", runBound))
	defer cancel()
	var before []byte
	for n := 0; ; n++ {
		var key keyBuffer
		env := append(append(console.Environment(), o.u.Env...), "CRYPTTAB_TRIED="+strconv.Itoa(n))
		ws, err := o.Runner.Run(ctx, console.Command{Argv: []string{path, o.u.ScriptArg}, Env: env, Output: &key, Line: func(text string) {
			o.Log.Infof("%s: %s", filepath.Base(path), text)
		}})
		switch {
		case err != nil:
			return err
		case !ws.Exited() || ws.ExitStatus() != 0:
			return errors.New(console.ExitText(ws))
		case key.more:
			return fmt.Errorf("it gave more than %d bytes", maxKey)
		case len(key.text) == 0:
			return errors.New("it gave no key")
		case n > 0 && bytes.Equal(before, key.text), o.u.Tries > 0 && n >= o.u.Tries:
			return errors.New("the key that it gives does not fit")
		}
		err = o.pass(ctx, string(key.text))
		var x *exit
		if err == nil || !errors.As(err, &x) || x.code != wrongKey {
			return err
		}
		before = key.text
	}
}

// maxKey is what cryptsetup reads of a key at the most.
const maxKey = 8 << 20

// keyBuffer takes a key, and no more of a script that does not end.
type keyBuffer struct {
	text []byte
	more bool // there was more than it holds
}

func (k *keyBuffer) Write(b []byte) (int, error) {
	fits := b[:min(len(b), maxKey-len(k.text))]
	k.more = k.more || len(fits) < len(b)
	k.text = append(k.text, fits...)
	return len(b), nil
}

// await waits for a device that holds a key.
func (e *Engine) await(ctx context.Context, form string, seconds int) (path, fs string, err error) {
	t := time.NewTimer(time.Duration(seconds) * time.Second)
	defer t.Stop()
	for {
		changed := e.Devices.Changed()
		if p, b, ok := e.Devices.Find(form); ok {
			return p, b.FS, nil
		}
		select {
		case <-changed:
		case <-t.C:
			return "", "", fmt.Errorf("the device %s with the key is not there within %d s (rd.luks.key.tout)", form, seconds)
		case <-ctx.Done():
			return "", "", ctx.Err()
		}
	}
}

// tokens says whether a LUKS2 header describes tokens.
func tokens(dev string) bool {
	f, err := os.Open(dev)
	if err != nil {
		return false
	}
	defer f.Close()
	return hasTokens(f)
}
