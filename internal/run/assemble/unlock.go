package assemble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"bareroot/internal/sys"
)

// keyDir is where a device with a key is mounted while it is read.
const keyDir = "/run/bareroot/key"

// errNoKey ends the boot's wait: nobody knows the passphrase.
var errNoKey = errors.New("no key or passphrase fits")

// unlocked notes what became of an unlock. An error ends the wait.
func (e *Engine) unlocked(u unlocked) error {
	e.busy--
	if u.err != nil {
		if errors.Is(u.err, context.Canceled) {
			delete(e.done, u.step.Key)
			return nil
		}
		e.fail("%v", u.err)
		if errors.Is(u.err, errNoKey) && !u.step.Unlock.NoFail {
			delete(e.done, u.step.Key) // for another try
			return u.err
		}
		return nil
	}
	e.Log.Infof("%s is open as /dev/mapper/%s", u.step.Unlock.Device, u.step.Unlock.Name)
	if err := e.Devices.Refresh(); err != nil {
		e.Log.Warnf("%v", err)
	}
	return nil
}

// open opens a device by the first of key file, token, known passphrase and
// asked passphrase that does.
func (e *Engine) open(ctx context.Context, u *Unlock) error {
	e.Module("dm_mod")
	e.Module("dm_crypt")
	for _, n := range u.Notes {
		e.Log.Warnf("%s: option %q is not carried out here", u.Name, n)
	}
	base := append([]string{"cryptsetup", "open", "--type", "luks"}, u.Args...)
	try := func(input string, more ...string) error {
		_, err := e.program(ctx, append(append(base[:len(base):len(base)], more...), u.Device, u.Name), input)
		return err
	}
	for _, k := range u.Keys {
		err := e.byFile(ctx, u, k, try)
		if err == nil || ctx.Err() != nil {
			return err
		}
		e.Log.Warnf("%s: key file %s: %v", u.Name, k.Path, err)
	}
	if tokens(u.Device) {
		err := try("", "--token-only")
		if err == nil || ctx.Err() != nil {
			return err
		}
		e.Log.Warnf("%s: by token: %v", u.Name, err)
	}
	pass := func(s string) error { return try(s, "--tries", "1", "--key-file", "-") }
	e.one.Lock()
	defer e.one.Unlock()
	for _, s := range e.opened {
		if err := pass(s); err == nil || ctx.Err() != nil {
			return err
		}
	}
	s, err := e.byPassphrase(ctx, u, pass)
	if err == nil {
		e.opened = append(e.opened, s)
	}
	return err
}

func (e *Engine) byPassphrase(ctx context.Context, u *Unlock, pass func(string) error) (string, error) {
	if e.Asker == nil {
		return "", fmt.Errorf("open %s: %w, and there is nobody to ask", u.Device, errNoKey)
	}
	prompt := fmt.Sprintf("Passphrase for %s (%s)", u.Device, u.Name)
	for n := 1; ; n++ {
		ask, cancel := ctx, context.CancelFunc(func() {})
		if u.Timeout > 0 {
			ask, cancel = context.WithTimeout(ctx, time.Duration(u.Timeout)*time.Second)
		}
		e.pause.begin()
		s, err := e.Asker.Ask(ask, prompt)
		e.pause.end()
		cancel()
		if err != nil {
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			return "", fmt.Errorf("open %s: %w: %w", u.Device, errNoKey, err)
		}
		e.Asker.Tell("trying it")
		err = pass(s)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		var x *exit
		if !errors.As(err, &x) || x.code != 2 { // 2 is a wrong passphrase
			return "", fmt.Errorf("open %s: %w", u.Device, err)
		}
		e.Log.Warnf("%s: the passphrase is wrong (%d of %d)", u.Name, n, u.Tries)
		if n >= u.Tries {
			return "", fmt.Errorf("open %s: %w after %d tries", u.Device, errNoKey, n)
		}
		prompt = fmt.Sprintf("That is not it. Passphrase for %s (%s), try %d of %d", u.Device, u.Name, n+1, u.Tries)
	}
}

// byFile opens with a key file, which may be on a device of its own.
func (e *Engine) byFile(ctx context.Context, u *Unlock, k KeyFile, try func(string, ...string) error) error {
	path := k.Path
	switch {
	case k.Device != "":
		dev, fs, err := e.await(ctx, k.Device, u.KeyWait)
		if err != nil {
			return err
		}
		e.Module(fs)
		if err := sys.Mount(dev, keyDir, fs, "ro,nosuid,nodev,noexec"); err != nil {
			return err
		}
		defer func() { _ = sys.Unmount(keyDir) }()
		path = filepath.Join(keyDir, filepath.Join("/", path))
	case strings.HasPrefix(path, "/dev/"):
		if _, _, err := e.await(ctx, path, u.KeyWait); err != nil {
			return err
		}
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	args := []string{"--key-file", path}
	if k.Offset > 0 {
		args = append(args, "--keyfile-offset", strconv.FormatInt(k.Offset, 10))
	}
	if k.Size > 0 {
		args = append(args, "--keyfile-size", strconv.FormatInt(k.Size, 10))
	}
	return try("", args...)
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
