package netns

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reexec must be the first call in main: in a process that is the first of
// its namespace it does that job and does not return.
func Reexec() {
	if os.Getenv(envStage) != "init" {
		return
	}
	code, err := firstProcess()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bareroot: first process of the namespace: %v\n", err)
		code = 1
	}
	os.Exit(code)
}

// firstProcess is process 1: mounts, one child, reaping until it ends.
func firstProcess() (int, error) {
	// The watch on the process outside comes first, so that nothing can
	// outlive it. File 3 is the pipe whose other end only that process holds.
	go func() {
		alive := os.NewFile(3, "alive")
		buf := make([]byte, 1)
		for {
			if _, err := alive.Read(buf); err != nil {
				os.Exit(1) // the kernel ends the whole namespace
			}
		}
	}()
	unix.CloseOnExec(3)
	if err := mounts(os.Getenv(envRun) == "tmpfs"); err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT)

	names := fileNames()
	files := []uintptr{0, 1, 2}
	for i := range names {
		files = append(files, uintptr(4+i))
	}
	for fd := 4 + len(names); fd < 64; fd++ {
		unix.CloseOnExec(fd) // locks kept by this process only
	}
	if err := os.Setenv(envStage, "main"); err != nil {
		return 0, err
	}
	pid, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Env: os.Environ(), Files: files, Sys: &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL},
	})
	if err != nil {
		return 0, fmt.Errorf("start the program: %w", err)
	}
	go func() {
		for s := range signals {
			if s != unix.SIGINT { // the terminal sends that one to everybody
				_ = unix.Kill(pid, s.(unix.Signal))
			}
		}
	}()
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for children: %w", err)
		case got == pid && (ws.Exited() || ws.Signaled()):
			return exitStatus(ws), nil
		}
	}
}

// mounts gives the namespace its own /proc, and /run if asked for. Nothing of
// it is seen outside.
func mounts(run bool) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w (a container that hides parts of /proc forbids it to ordinary users; use sudo)", err)
	}
	if run {
		if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=64m"); err != nil {
			return fmt.Errorf("mount an empty /run: %w", err)
		}
	}
	return nil
}
