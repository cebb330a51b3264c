package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/rdconf"
	"bareroot/internal/sys"
)

// dropDir holds words that win over the boot loader's: the operator's.
const dropDir = "/run/initramfs/cmdline.d"

// askPath keeps the words that were asked for. dracut keeps them where the
// boot loader's words win over the operator's.
const askPath = dropDir + "/90-ask.conf"

// askLimit is how long the operator may think about a line of them.
const askLimit = 10 * time.Minute

func (b *Boot) stageCmdline(ctx context.Context) error {
	if err := b.joinLine(); err != nil {
		return err
	}
	if v, _ := b.line.Get("rd.cmdline"); v == "ask" && !b.asked {
		b.asked = true
		if err := b.askLine(ctx); err != nil {
			return err
		}
	}
	defer b.sizeRun()
	if !b.hooks.Any("cmdline") {
		return nil
	}
	if err := b.runHooks(ctx, "cmdline"); err != nil {
		return err
	}
	// They may have written words of their own, for which what they exported
	// is the stronger.
	clear(b.adopted)
	return errors.Join(b.joinLine(), b.adopt("cmdline"))
}

// askLine takes words from the operator: rd.cmdline=ask.
func (b *Boot) askLine(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var words strings.Builder
	for {
		s, err := b.asker.AskShown(ctx, "more words for the kernel command line (an empty line ends)")
		if err != nil {
			b.log.Warnf("rd.cmdline=ask: %v", err)
			break
		}
		if s = strings.TrimSpace(s); s == "" || s == "." {
			break
		}
		words.WriteString(s + "\n")
	}
	if words.Len() == 0 {
		return nil
	}
	if err := os.MkdirAll(dropDir, 0o755); err != nil {
		return fmt.Errorf("rd.cmdline=ask: %w", err)
	}
	if err := os.WriteFile(askPath, []byte(words.String()), 0o600); err != nil {
		return fmt.Errorf("rd.cmdline=ask: %w", err)
	}
	return b.joinLine()
}

// joinLine reads all sources of the command line.
func (b *Boot) joinLine() error {
	conf, notices, err := rdconf.Load("/")
	if err != nil {
		return err
	}
	b.conf = conf
	sources, left, err := cmdline.ReadSources(os.DirFS("/"))
	if err != nil {
		return err
	}
	for _, n := range left {
		b.log.Infof("%s", n)
	}
	line, more := cmdline.Merge(conf.Locked, cmdline.Source{Name: "configuration", Text: conf.Cmdline}, sources...)
	for _, n := range append(notices, more...) {
		b.log.Warnf("%s", n)
	}
	return b.setLine(line)
}

// setLine makes line the command line of the boot.
func (b *Boot) setLine(line cmdline.Line) error {
	for _, n := range cmdline.Check(line) {
		b.log.Warnf("%s", n)
	}
	if err := cmdline.Refused(line); err != nil {
		return err
	}
	b.useLine(line)
	if err := os.WriteFile(linePath, []byte(line.String()+"\n"), 0o600); err != nil {
		b.log.Warnf("keep the command line for modprobe: %v", err)
	}
	b.verbosity()
	for _, w := range line {
		b.log.Debugf("command line: %s (%s)", w.Masked(), w.Source)
	}
	n, err := cmdline.ParseNetwork(line)
	if err != nil {
		return err
	}
	for _, t := range n.Notices {
		b.log.Warnf("%s", t)
	}
	if later := cmdline.NotYet(line); len(later) > 0 {
		b.log.Warnf("understood but not carried out by this version: %s", strings.Join(later, ", "))
	}
	b.net = n
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		b.kver = unix.ByteSliceToString(uts.Release[:])
	}
	return nil
}

func (b *Boot) useLine(line cmdline.Line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line = line
}

// words is the command line, for those beside the boot.
func (b *Boot) words() cmdline.Line {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.line
}

// verbosity applies what the line says about the console.
func (b *Boot) verbosity() {
	b.terms.Only(b.tty())
	b.log.SetLevel(b.line.Has("quiet") && !b.line.Bool(false, "rd.info"), b.line.Bool(false, "rd.debug"))
}

// role is what this boot is there to do.
func (b *Boot) role() string {
	if r, ok := b.words().Get("bareroot.role"); ok && r != "" {
		return r
	}
	if b.conf.Role == "" {
		return "root"
	}
	return b.conf.Role
}

// limit is how long a wait may take: rd.retry.
func (b *Boot) limit() time.Duration {
	return time.Duration(b.words().Int(180, 1, 86400, "rd.retry")) * time.Second
}

// deviceLimit is how long one device is waited for: rd.timeout or the kernel's
// rootwait if it is a number, which like rd.retry bounds the boot as a whole.
// rootdelay only ever makes it longer.
func (b *Boot) deviceLimit() time.Duration {
	limit := b.limit()
	for _, word := range []string{"rd.timeout", "rootwait"} {
		if s := b.line.Int(0, 0, 86400, word); s > 0 {
			limit = time.Duration(s) * time.Second
			break
		}
	}
	return max(limit, time.Duration(b.line.Int(0, 0, 86400, "rootdelay"))*time.Second)
}

// sizeRun gives /run the size that initramfs.runsize= asks for.
func (b *Boot) sizeRun() {
	size, ok := b.line.Get("initramfs.runsize")
	if !ok || size == "" {
		return
	}
	if err := sys.Mount("tmpfs", "/run", "tmpfs", "remount,nosuid,nodev,mode=0755,size="+size); err != nil {
		b.log.Warnf("initramfs.runsize=%s: %v", size, err)
	}
}
