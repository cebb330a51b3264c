package boot

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/hook"
	"bareroot/internal/sys"
	"bareroot/internal/version"
)

// SOSPath is where dracut leaves its report of a failed boot. It outlives the
// ramdisk.
const SOSPath = "/run/initramfs/rdsosreport.txt"

// sosPart bounds what one file adds to the report, which lies in memory.
const sosPart = 512 << 10

// writeSOS leaves the report of a failure: sections that begin with "+ " and
// what they show, as dracut's. Passwords are hidden.
func (b *Boot) writeSOS(e *StageError, a advice) error {
	var s bytes.Buffer
	section := func(title string, lines ...string) {
		fmt.Fprintf(&s, "+ %s\n", title)
		for _, l := range lines {
			s.WriteString(strings.TrimRight(l, "\n") + "\n")
		}
	}
	failure := []string{"stage: " + e.Stage, "kernel: " + b.kver}
	for _, l := range strings.Split(e.Err.Error(), "\n") {
		failure = append(failure, "failed: "+l)
	}
	for _, t := range b.tried {
		failure = append(failure, "done: "+t)
	}
	if a.missing != "" {
		failure = append(failure, "missing: "+a.missing)
	}
	for _, t := range a.try {
		failure = append(failure, "try: "+t)
	}
	section("bareroot failure", failure...)
	section("bareroot-init --version", version.String())
	section("command line, joined", b.line.Masked())
	line, _ := os.ReadFile("/proc/cmdline")
	section("cat /proc/cmdline", cmdline.Parse(string(line), "").Masked())
	section("hooks", b.hookList()...)
	if b.devices != nil {
		var disks []string
		for _, d := range b.devices.Blocks() {
			disks = append(disks, d.Describe())
		}
		section("block devices", disks...)
	}
	section("ls -l /dev/disk/by-* /dev/mapper", linksBelow("/dev/disk", "/dev/mapper")...)
	section("ip addr", addresses()...)
	for _, p := range []string{"/proc/version", "/proc/self/mountinfo", "/proc/partitions", "/proc/mdstat", "/proc/modules", "/proc/meminfo", "/proc/net/route", "/proc/net/bonding/*",
		"/etc/resolv.conf", "/run/bareroot/net/*.json", hookState} {
		files, _ := filepath.Glob(p)
		for _, f := range files {
			section("cat "+f, readSome(f))
		}
	}
	section("cat /run/bareroot/boot.log", readSome("/run/bareroot/boot.log"))
	section("dmesg", kernelLog())
	out := []byte(b.hideSecrets(s.String()))
	if err := os.MkdirAll(filepath.Dir(SOSPath), 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(SOSPath+".new", out, 0o600); err != nil {
		_ = os.Remove(SOSPath + ".new") // a full /run needs the room
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.Rename(SOSPath+".new", SOSPath); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// hideSecrets hides passwords in text: those of the command line wherever they
// are repeated, and what looks like one.
func (b *Boot) hideSecrets(text string) string {
	var pairs []string
	for _, w := range b.line {
		if len(w.Value) >= 4 && w.Masked() == w.Key+"=***" {
			pairs = append(pairs, w.Value, "***")
		}
	}
	if b.session != nil && b.session.Token != "" {
		pairs = append(pairs, b.session.Token, "***")
	}
	if b.conf.Server != nil && b.conf.Server.Nonce != "" {
		pairs = append(pairs, b.conf.Server.Nonce, "***")
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	var out strings.Builder
	for text != "" {
		n := strings.IndexAny(text, " \t\n\"'")
		word, sep := text, ""
		if n >= 0 {
			word, sep, text = text[:n], text[n:n+1], text[n+1:]
		} else {
			text = ""
		}
		out.WriteString(maskWord(word) + sep)
		// NAME='a value'
		name, empty := strings.CutSuffix(word, "=")
		if end := strings.Index(text, sep); empty && (sep == "'" || sep == `"`) && end >= 0 && maskWord(name+"=x") != name+"=x" {
			out.WriteString("***")
			text = text[end:]
		}
	}
	return out.String()
}

func maskWord(s string) string {
	if k, v, ok := strings.Cut(s, "="); ok {
		return cmdline.Word{Key: k, Value: v}.Masked()
	}
	return cmdline.MaskValue(s)
}

func (b *Boot) hookList() []string {
	var out []string
	for _, d := range hook.Dirs {
		_ = filepath.Walk(d, func(p string, fi os.FileInfo, err error) error {
			if err == nil && fi.Mode().IsRegular() {
				out = append(out, fmt.Sprintf("%s %7d %s", fi.Mode(), fi.Size(), p))
			}
			return nil
		})
	}
	return out
}

func linksBelow(dirs ...string) []string {
	var out []string
	for _, d := range dirs {
		_ = filepath.Walk(d, func(p string, fi os.FileInfo, err error) error {
			if err == nil && fi.Mode()&os.ModeSymlink != 0 {
				to, _ := os.Readlink(p)
				out = append(out, p+" -> "+to)
			}
			return nil
		})
	}
	sort.Strings(out)
	return out
}

func addresses() []string {
	ifs, err := net.Interfaces()
	if err != nil {
		return []string{err.Error()}
	}
	slices.SortFunc(ifs, func(a, b net.Interface) int { return a.Index - b.Index })
	var out []string
	for _, i := range ifs {
		l := fmt.Sprintf("%d: %s: <%s> mtu %d mac %s carrier %s", i.Index, i.Name, i.Flags, i.MTU, i.HardwareAddr, sys.Line("/sys/class/net/"+i.Name+"/carrier"))
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			l += " " + a.String()
		}
		out = append(out, l)
	}
	return out
}

// readSome reads a file, from the end if it is too large.
func readSome(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Size() > sosPart {
		_, _ = f.Seek(-sosPart, io.SeekEnd)
	}
	b, err := io.ReadAll(io.LimitReader(f, sosPart))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func kernelLog() string {
	buf := make([]byte, sosPart)
	n, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, buf)
	if err != nil {
		return err.Error()
	}
	return string(buf[:n])
}
