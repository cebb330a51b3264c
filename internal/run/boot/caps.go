package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
)

// capNames are the kernel's capabilities by their number
// (include/uapi/linux/capability.h).
const capNames = "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"

// dropped are the capabilities that a line takes from the root.
func dropped(l cmdline.Line) (caps []int, err error) {
	names := strings.Fields(capNames)
next:
	for _, want := range l.List("drop_capabilities") {
		short := strings.TrimPrefix(strings.ToLower(want), "cap_")
		for n, name := range names {
			if name == short {
				caps = append(caps, n)
				continue next
			}
		}
		return nil, fmt.Errorf("drop_capabilities=%s: no such capability", want)
	}
	return caps, nil
}

// lockDown takes from the root, as late as can be, what drop_capabilities=,
// rd.caps.disablemodules= and rd.caps.disablekexec= say. The calling goroutine
// keeps its thread, whose exec starts the root's init; what it gives up is
// gone only with that exec.
func (b *Boot) lockDown() error {
	if err := disable(b.line, "/proc/sys/kernel"); err != nil {
		return err
	}
	caps, err := dropped(b.line)
	if err != nil || len(caps) == 0 {
		return err
	}
	runtime.LockOSThread()
	for _, c := range caps {
		// The kernel may be older than the list.
		if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0); err != nil || has == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
			return fmt.Errorf("drop_capabilities: drop capability %d: %w", c, err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("drop_capabilities: %w", err)
	}
	for _, c := range caps {
		sets[c/32].Inheritable &^= 1 << (c % 32)
	}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return fmt.Errorf("drop_capabilities: %w", err)
	}
	// What the kernel starts by itself, such as modprobe, shall have no more.
	for _, set := range []string{"bset", "inheritable"} {
		p := "/proc/sys/kernel/usermodehelper/" + set
		text, err := os.ReadFile(p)
		if err != nil {
			return fmt.Errorf("drop_capabilities: %w", err)
		}
		masked, err := without(string(text), caps)
		if err != nil {
			return fmt.Errorf("drop_capabilities: %s: %w", p, err)
		}
		if err := os.WriteFile(p, []byte(masked), 0); err != nil {
			return fmt.Errorf("drop_capabilities: %w", err)
		}
	}
	b.log.Infof("the root runs without the capabilities %s", strings.Join(b.line.List("drop_capabilities"), ", "))
	return nil
}

// disable makes the kernel take no more modules, or no other kernel. One that
// cannot do either has no file for it.
func disable(l cmdline.Line, dir string) error {
	for word, file := range map[string]string{"rd.caps.disablemodules": "modules_disabled", "rd.caps.disablekexec": "kexec_load_disabled"} {
		if !l.Bool(false, word) {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			_, err = f.WriteString("1\n")
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", word, err)
		}
	}
	return nil
}

// without takes capabilities from the two numbers of 32 bits that the kernel
// writes a set as.
func without(set string, caps []int) (string, error) {
	f := strings.Fields(set)
	if len(f) != 2 {
		return "", fmt.Errorf("%q is no set of capabilities", set)
	}
	var bits uint64
	for i, s := range f {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return "", fmt.Errorf("%q is no set of capabilities", set)
		}
		bits |= n << (32 * i)
	}
	for _, c := range caps {
		bits &^= 1 << c
	}
	return fmt.Sprintf("%d %d", uint32(bits), bits>>32), nil
}
