// Package netns runs the current program again in namespaces of its own:
// network, mounts and processes, and as an ordinary user a user namespace
// that makes all of that allowed. What the program opened before (listeners)
// is handed over; when the process outside ends, however it ends, everything
// inside ends with it.
//
// It is not a container: files are those of the host.
//
// Three processes take part. The one outside calls Start. The first one
// inside is process 1 of its namespace: it mounts /proc, reaps orphans and
// watches the one outside. Its child is the program again, with the
// arguments given. Both are made by running this program's own file, so main
// (or TestMain) calls Reexec before anything else.
package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Environment words between the stages.
const (
	envStage = "BAREROOT_NETNS_STAGE" // "init" or "main"
	envFiles = "BAREROOT_NETNS_FILES" // names of the files handed over
	envRun   = "BAREROOT_NETNS_RUN"   // "tmpfs": an empty /run
)

// Options say what to start inside.
type Options struct {
	Args   []string // program arguments, os.Args[1:] of the program inside
	Env    []string // added to the environment
	Dir    string
	Files  []File     // handed over in this order
	KeepFD []*os.File // kept open by process 1 only (locks)
	Run    bool       // an empty tmpfs on /run
	Stdin  *os.File
	Stdout *os.File
	Stderr *os.File
}

// File is an open file with a name, for Inherited inside.
type File struct {
	Name string
	File *os.File
}

// Child is the program inside.
type Child struct {
	Pid  int // process 1 of the namespace, as seen from outside
	cmd  *exec.Cmd
	life *os.File // closing it ends the namespace
	done chan struct{}
	err  error
}

// Refused says that this host does not let this user make the namespaces.
type Refused struct{ Reason string }

func (r *Refused) Error() string {
	return "cannot make network namespaces: " + r.Reason + "; run it with sudo instead"
}

// Start runs this program again inside new namespaces.
func Start(o Options) (*Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	alive, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer alive.Close()
	cmd := exec.Command(self, o.Args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = o.Dir, nil, o.Stdout, o.Stderr
	if o.Stdin != nil {
		cmd.Stdin = o.Stdin
	}
	cmd.ExtraFiles = []*os.File{alive}
	var names []string
	for _, f := range o.Files {
		names = append(names, f.Name)
		cmd.ExtraFiles = append(cmd.ExtraFiles, f.File)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, o.KeepFD...)
	cmd.Env = append(cmd.Environ(), o.Env...)
	cmd.Env = append(cmd.Env, envStage+"=init", envFiles+"="+strings.Join(names, ":"))
	if o.Run {
		cmd.Env = append(cmd.Env, envRun+"=tmpfs")
	}
	cmd.SysProcAttr = attributes(os.Geteuid(), os.Getegid())
	c := &Child{cmd: cmd, life: life, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal follows the thread that started the child, so the
		// thread is kept for as long as the child lives.
		runtime.LockOSThread()
		defer close(c.done)
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.err = cmd.Wait()
	}()
	if err := <-started; err != nil {
		life.Close()
		return nil, explain(err)
	}
	c.Pid = cmd.Process.Pid
	return c, nil
}

// attributes are the namespaces for this user.
func attributes(uid, gid int) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		Pdeathsig:  unix.SIGKILL,
	}
	if uid != 0 {
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
	}
	return a
}

// Signal goes to the program inside (process 1 passes it on).
func (c *Child) Signal(s os.Signal) error { return c.cmd.Process.Signal(s) }

// Kill ends everything inside at once.
func (c *Child) Kill() { c.life.Close(); _ = c.cmd.Process.Kill() }

// Done is closed when everything inside has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Wait waits for the program inside. Its exit code is in the error as
// *exec.ExitError. When ctx ends first, the program is told to stop by
// SIGTERM and still waited for.
func (c *Child) Wait(ctx context.Context) error {
	select {
	case <-c.done:
	case <-ctx.Done():
		if err := c.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			c.Kill()
		}
		<-c.done
	}
	c.life.Close()
	return c.err
}

// Inside tells whether this process was started by Start.
func Inside() bool { return os.Getenv(envStage) == "main" }

// Inherited returns the files handed over. Call it once.
func Inherited() map[string]*os.File {
	m := map[string]*os.File{}
	for i, name := range fileNames() {
		fd := 3 + i
		unix.CloseOnExec(fd)
		m[name] = os.NewFile(uintptr(fd), name)
	}
	return m
}

func fileNames() []string {
	s := os.Getenv(envFiles)
	if s == "" {
		return nil
	}
	return strings.Split(s, ":")
}

// explain turns the kernel's refusal into a reason.
func explain(err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("start in new namespaces: %w", err)
	}
	reason := fmt.Sprintf("the kernel refused them (%v)", err)
	for _, s := range []struct{ file, bad, why string }{
		{"kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns = 1)"},
		{"kernel/unprivileged_userns_clone", "0", "the kernel setting kernel.unprivileged_userns_clone is 0"},
		{"user/max_user_namespaces", "0", "the kernel setting user.max_user_namespaces is 0"},
	} {
		if v, e := os.ReadFile(filepath.Join("/proc/sys", s.file)); e == nil && strings.TrimSpace(string(v)) == s.bad {
			reason = s.why
		}
	}
	return &Refused{Reason: reason}
}

func exitStatus(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
