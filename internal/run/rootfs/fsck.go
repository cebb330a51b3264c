package rootfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/sys"
)

// ErrReboot asks for a reboot: a check changed what the kernel has read.
var ErrReboot = errors.New("the machine must be started again")

// checks is what the command line says about filesystem checks.
type checks struct {
	skip, force bool
	repair      string // preen, yes, no
}

func readChecks(l cmdline.Line) checks {
	mode, _ := l.Get("fsck.mode")
	c := checks{repair: "preen"}
	c.skip = l.Bool(false, "rd.skipfsck") || l.Has("fastboot") || mode == "skip"
	c.force = l.Has("forcefsck") || mode == "force"
	if r, _ := l.Get("fsck.repair"); r == "yes" || r == "no" {
		c.repair = r
	}
	return c
}

// plan is the program that checks a filesystem, nil for none.
func (c checks) plan(fs, dev string) []string {
	if c.skip {
		return nil
	}
	answer := map[string]string{"preen": "-p", "yes": "-y", "no": "-n"}[c.repair]
	switch fs {
	case "ext2", "ext3", "ext4":
		argv := []string{"e2fsck", answer, "-C", "1"}
		if c.force {
			argv = append(argv, "-f")
		}
		return append(argv, dev)
	case "vfat":
		if c.repair == "preen" {
			answer = "-a"
		}
		return []string{"fsck.vfat", answer, dev}
	case "f2fs":
		if c.repair == "no" {
			return []string{"fsck.f2fs", "--dry-run", dev}
		}
		if c.force {
			return []string{"fsck.f2fs", "-f", dev}
		}
		return []string{"fsck.f2fs", "-a", dev}
	case "exfat":
		return []string{"fsck.exfat", answer, dev}
	case "jfs":
		if c.force {
			return []string{"fsck.jfs", "-f", answer, dev}
		}
		return []string{"fsck.jfs", answer, dev}
	case "xfs":
		// A mount repairs what a crash leaves; a check is for those who ask.
		switch {
		case !c.force:
		case c.repair == "no":
			return []string{"xfs_repair", "-n", dev}
		default:
			return []string{"xfs_repair", "-e", dev}
		}
	}
	return nil
}

// extClean reads from the superblock of an ext filesystem whether e2fsck
// would only say that it is clean, at a time now (seconds; 0 unknown).
func extClean(sb []byte, now int64) bool {
	if len(sb) < 1024 {
		return false
	}
	le := binary.LittleEndian
	const needsRecovery = 4
	if le.Uint16(sb[56:]) != 0xef53 || le.Uint32(sb[96:])&needsRecovery != 0 {
		return false
	}
	if state := le.Uint16(sb[58:]); state&1 == 0 || state&2 != 0 || state&4 != 0 { // valid, errors, orphans
		return false
	}
	if le.Uint32(sb[232:]) != 0 { // last orphan
		return false
	}
	if most := int16(le.Uint16(sb[54:])); most > 0 && int16(le.Uint16(sb[52:])) >= most {
		return false
	}
	last, interval := int64(le.Uint32(sb[64:])), int64(le.Uint32(sb[68:]))
	return interval == 0 || now == 0 || now < last+interval
}

// CheckError is a filesystem with errors that a check leaves to a person.
type CheckError struct {
	argv []string
	code int
}

func (e *CheckError) Error() string {
	name, dev := e.argv[0], e.argv[len(e.argv)-1]
	return fmt.Sprintf("%s found errors on %s that it does not correct by itself (exit code %d); run \"%s %s\" in the shell, then exit; fsck.mode=skip boots without a check",
		name, dev, e.code, name, dev)
}

// Missing says what the boot lacks.
func (e *CheckError) Missing() string {
	return "a filesystem without errors on " + e.argv[len(e.argv)-1]
}

// Try names commands for the operator.
func (e *CheckError) Try() []string {
	name, dev := e.argv[0], e.argv[len(e.argv)-1]
	return []string{
		name + " -n " + dev + "   # what is wrong; nothing is changed",
		name + " " + dev + "; exit   # correct it, then go on",
		"echo fsck.mode=skip >/run/initramfs/cmdline.d/fix.conf; exit   # go on as it is",
	}
}

// judge is what an exit code means: those of e2fsck(8), which the others share.
func judge(argv []string, code int) (notice string, err error) {
	name, dev := argv[0], argv[len(argv)-1]
	if name == "xfs_repair" {
		switch code {
		case 0:
			return "", nil
		case 4:
			return dev + ": errors were found and corrected", nil
		}
		return "", &CheckError{argv, code}
	}
	if name == "fsck.vfat" && code&2 != 0 {
		code = 8 // to the others, a reboot; here it did not look at the disk
	}
	switch {
	case code == 0:
		return "", nil
	case code&4 != 0:
		return "", &CheckError{argv, code}
	case code&2 != 0:
		return "", fmt.Errorf("%s corrected %s: %w", name, dev, ErrReboot)
	case code == 1:
		return dev + ": errors were found and corrected", nil
	}
	return fmt.Sprintf("%s could not check %s (exit code %d); it is mounted all the same", name, dev, code), nil
}

// check checks a filesystem before it is mounted, if the program for it is in
// this ramdisk. force: also one that seems to be clean.
func check(ctx context.Context, e *Env, fs, dev string, force bool) error {
	c := readChecks(e.Line)
	c.force = c.force || force
	argv := c.plan(fs, dev)
	if argv == nil || e.Run == nil || !e.Has(argv[0]) {
		return nil
	}
	if writeProtected(dev) {
		e.Log.Infof("%s is write-protected and not checked", dev)
		return nil
	}
	if strings.HasPrefix(fs, "ext") && !c.force && superClean(dev) {
		e.Log.Debugf("%s is clean", dev)
		return nil
	}
	start := time.Now()
	e.Log.Infof("checking %s (%s)", dev, fs)
	code, err := runCheck(ctx, e, argv)
	if err != nil {
		return fmt.Errorf("check %s: %w", dev, err)
	}
	if argv[0] == "xfs_repair" && code == 2 {
		// Its journal is replayed by a mount.
		e.Module(fs)
		if err := sys.Mount(dev, Target, fs, "rw"); err != nil {
			return fmt.Errorf("replay the journal of %s: %w", dev, err)
		}
		if err := sys.Unmount(Target); err != nil {
			return err
		}
		if code, err = runCheck(ctx, e, argv); err != nil {
			return fmt.Errorf("check %s: %w", dev, err)
		}
	}
	notice, err := judge(argv, code)
	if err != nil {
		return err
	}
	if notice != "" {
		e.Log.Warnf("%s", notice)
	}
	e.Log.Infof("checked %s in %.1f s", dev, time.Since(start).Seconds())
	return nil
}

func runCheck(ctx context.Context, e *Env, argv []string) (int, error) {
	var told time.Time
	return e.Run(ctx, argv, func(line string) {
		pass, done, total, ok := progress(line)
		switch {
		case !ok:
			if s := strings.TrimSpace(line); s != "" {
				e.Log.Infof("%s: %s", argv[0], s)
			}
		case time.Since(told) >= 5*time.Second:
			told = time.Now()
			e.Log.Infof("%s: pass %d, %d %%", argv[0], pass, done*100/max(total, 1))
		}
	})
}

// progress reads e2fsck's lines "PASS DONE TOTAL NAME", the name being the
// filesystem's label or its device.
func progress(line string) (pass, done, total int64, ok bool) {
	f := strings.Fields(line)
	if len(f) < 4 {
		return 0, 0, 0, false
	}
	n := [3]int64{}
	for i := range n {
		for _, c := range f[i] {
			if c < '0' || c > '9' || n[i] > 1<<40 {
				return 0, 0, 0, false
			}
			n[i] = n[i]*10 + int64(c-'0')
		}
	}
	return n[0], n[1], n[2], n[0] > 0
}

// writeProtected says whether the device itself takes no writes.
func writeProtected(dev string) bool {
	f, err := os.Open(dev)
	if err != nil {
		return false
	}
	defer f.Close()
	ro, err := unix.IoctlGetInt(int(f.Fd()), unix.BLKROGET)
	return err == nil && ro != 0
}

func superClean(dev string) bool {
	f, err := os.Open(dev)
	if err != nil {
		return false
	}
	defer f.Close()
	sb := make([]byte, 1024)
	if _, err := f.ReadAt(sb, 1024); err != nil {
		return false
	}
	now := time.Now().Unix()
	if now < 1_600_000_000 { // a machine whose clock was never set
		now = 0
	}
	return extClean(sb, now)
}
