// Program helper does in a guest what busybox cannot: "kexec KERNEL RAMDISK
// LINE" loads a kernel for reboot(2)'s kexec; under any other name it runs
// /init on a kernel that has no devtmpfs.
package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	var err error
	if len(os.Args) == 5 && os.Args[1] == "kexec" {
		err = load(os.Args[2], os.Args[3], os.Args[4])
	} else {
		err = withoutDevtmpfs()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "helper:", err)
		os.Exit(1)
	}
}

func load(kernel, ramdisk, line string) error {
	k, err := os.Open(kernel)
	if err != nil {
		return err
	}
	r, err := os.Open(ramdisk)
	if err != nil {
		return err
	}
	return unix.KexecFileLoad(int(k.Fd()), int(r.Fd()), line, 0)
}

// withoutDevtmpfs lets a filter refuse the one mount of init that has nosuid
// and no other flag, as a kernel without the filesystem does.
func withoutDevtmpfs() error {
	const mountNumber, argument3 = unix.SYS_MOUNT, 40
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: mountNumber, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: argument3},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.MS_NOSUID, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x00050000 | uint32(unix.ENODEV)}, // SECCOMP_RET_ERRNO
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x7fff0000},                       // SECCOMP_RET_ALLOW
	}
	runtime.LockOSThread() // the thread that execs has the filter
	p := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&p)), 0, 0); err != nil {
		return fmt.Errorf("set the filter: %w", err)
	}
	return syscall.Exec("/init", []string{"/init"}, os.Environ())
}
