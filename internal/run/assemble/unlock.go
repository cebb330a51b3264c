package assemble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"bareroot/internal/run/device"
)

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

// open opens a device by the first of key file, key script, token, known
// passphrase and asked passphrase that does.
func (e *Engine) open(ctx context.Context, u *Unlock) error {
	e.Module("dm_mod")
	e.Module("dm_crypt")
	for _, n := range u.Notes {
		e.Log.Warnf("%s: option %q is not carried out here", u.Name, n)
	}
	if u.NoHeader {
		return fmt.Errorf("open %s: its header is elsewhere (rd.luks.data) and rd.luks.options=UUID=header=PATH does not say where", u.Device)
	}
	o := opener{e, u, []string{"cryptsetup", "open", "--type", "luks"}}
	if u.Plain {
		o.base[3] = "plain"
	}
	o.base = append(o.base, u.Args...)
	header := u.Device
	if u.Header.Path != "" {
		path, done, err := o.reach(ctx, u.Header, "header")
		if err != nil {
			return fmt.Errorf("open %s: its header %s: %w", u.Device, u.Header.Path, err)
		}
		defer done()
		header = path
		o.base = append(o.base, "--header", path)
	}
	for _, k := range u.keys() {
		err := o.byFile(ctx, k)
		if err == nil || ctx.Err() != nil {
			return err
		}
		e.Log.Warnf("%s: key file %s: %v", u.Name, k.Path, err)
	}
	if u.Script != "" {
		err := o.byScript(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		e.Log.Warnf("%s: key script %s: %v", u.Name, u.Script, err)
	}
	if !u.Plain && tokens(header) {
		err := o.try(ctx, "", "--token-only")
		if err == nil || ctx.Err() != nil {
			return err
		}
		e.Log.Warnf("%s: by token: %v", u.Name, err)
	}
	e.one.Lock()
	defer e.one.Unlock()
	known := e.opened
	if u.Empty {
		known = append([]string{""}, known...)
	}
	for _, s := range known {
		if err := o.pass(ctx, s); err == nil || ctx.Err() != nil {
			return err
		}
	}
	s, err := o.ask(ctx)
	if err == nil {
		e.opened = append(e.opened, s)
	}
	return err
}

// opener is one device being opened.
type opener struct {
	*Engine
	u    *Unlock
	base []string // cryptsetup's arguments
}

// try runs cryptsetup once. Any key opens a device without a header: there,
// what is on it tells whether it was the right one.
func (o *opener) try(ctx context.Context, input string, more ...string) error {
	if _, err := o.program(ctx, append(append(o.base[:len(o.base):len(o.base)], more...), o.u.Device, o.u.Name), input); err != nil || !o.u.Plain {
		return err
	}
	f, err := os.Open(filepath.Join("/dev/mapper", o.u.Name))
	if err != nil {
		return err
	}
	size, _ := f.Seek(0, io.SeekEnd) // 0 looks at less
	on := device.Identify(f, size)
	f.Close()
	if on.FS != "" {
		return nil
	}
	if _, err := o.program(ctx, []string{"cryptsetup", "close", o.u.Name}, ""); err != nil {
		return err
	}
	return &exit{wrongKey, "nothing that is known is on it with this key"}
}

// wrongKey is cryptsetup's exit code for a key that does not fit.
const wrongKey = 2

func (o *opener) pass(ctx context.Context, s string) error {
	return o.try(ctx, s, "--tries", "1", "--key-file", "-")
}

func (o *opener) ask(ctx context.Context) (string, error) {
	u := o.u
	if o.Asker == nil || u.NoAsk {
		return "", fmt.Errorf("open %s: %w, and there is nobody to ask", u.Device, errNoKey)
	}
	of := ""
	if u.Tries > 0 {
		of = fmt.Sprintf(" of %d", u.Tries)
	}
	prompt := fmt.Sprintf("Passphrase for %s (%s)", u.Device, u.Name)
	for n := 1; ; n++ {
		ask, cancel := ctx, context.CancelFunc(func() {})
		if u.Timeout > 0 {
			ask, cancel = context.WithTimeout(ctx, time.Duration(u.Timeout)*time.Second)
		}
		o.pause.begin()
		s, err := o.Asker.Ask(ask, prompt)
		o.pause.end()
		cancel()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return "", ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return "", fmt.Errorf("open %s: %w: nobody answered within %d s", u.Device, errNoKey, u.Timeout)
		default:
			return "", fmt.Errorf("open %s: %w: %w", u.Device, errNoKey, err)
		}
		o.Asker.Tell("trying it")
		err = o.pass(ctx, s)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		var x *exit
		if !errors.As(err, &x) || x.code != wrongKey {
			return "", fmt.Errorf("open %s: %w", u.Device, err)
		}
		o.Log.Warnf("%s: the passphrase is wrong (%d%s)", u.Name, n, of)
		if u.Tries > 0 && n >= u.Tries {
			return "", fmt.Errorf("open %s: %w after %d tries", u.Device, errNoKey, n)
		}
		prompt = fmt.Sprintf("That is not it. Passphrase for %s (%s), try %d%s", u.Device, u.Name, n+1, of)
	}
}
