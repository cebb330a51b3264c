package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/rdconf"
	"golang.org/x/sys/unix"
)

func (b *Boot) stageCmdline(context.Context) error {
	conf, notices, err := rdconf.Load("/")
	if err != nil {
		return err
	}
	b.conf = conf
	var stronger []cmdline.Source
	drops, _ := filepath.Glob("/etc/cmdline.d/*.conf")
	sort.Strings(drops)
	for _, p := range append(drops, "/etc/cmdline", "/proc/cmdline") {
		text, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read command line: %w", err)
		}
		stronger = append(stronger, cmdline.Source{Name: p, Text: string(text)})
	}
	line, more := cmdline.Merge(conf.Locked, cmdline.Source{Name: "configuration", Text: conf.Cmdline}, stronger...)
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
	b.line = line
	if err := os.WriteFile(linePath, []byte(line.String()+"\n"), 0o600); err != nil {
		b.log.Warnf("keep the command line for modprobe: %v", err)
	}
	b.terms.Only(b.tty())
	b.log.Quiet = line.Has("quiet")
	b.log.Debug = line.Bool(false, "rd.debug", "rdinitdebug")
	n, err := cmdline.ParseNetwork(line)
	if err != nil {
		return err
	}
	for _, t := range n.Notices {
		b.log.Warnf("%s", t)
	}
	for _, t := range n.NotYet() {
		b.log.Warnf("%s is understood but not carried out by this version", t)
	}
	b.net = n
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		b.kver = unix.ByteSliceToString(uts.Release[:])
	}
	return nil
}

// role is what this boot is there to do.
func (b *Boot) role() string {
	if r, ok := b.line.Get("bareroot.role"); ok && r != "" {
		return r
	}
	if b.conf.Role == "" {
		return "root"
	}
	return b.conf.Role
}

// limit is how long a wait may take: rd.retry.
func (b *Boot) limit() time.Duration {
	return time.Duration(b.line.Int(180, 1, 86400, "rd.retry")) * time.Second
}
