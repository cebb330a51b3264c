package boot

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"bareroot/internal/run/console"
)

// process is a program that runs beside init.
type process struct {
	pid  int
	name string
}

// others lists all processes but PID 1, the kernel's own, and those whose
// argv[0] begins with "@": by that storage daemons say that the root needs
// them (systemd's ROOT_STORAGE_DAEMONS).
func others(proc string) []process {
	dirs, _ := filepath.Glob(filepath.Join(proc, "[1-9]*"))
	var out []process
	for _, d := range dirs {
		pid, err := strconv.Atoi(filepath.Base(d))
		if err != nil || pid == 1 {
			continue
		}
		cmd, err := os.ReadFile(filepath.Join(d, "cmdline"))
		if err != nil || len(cmd) == 0 || cmd[0] == '@' {
			continue // gone, of the kernel or a zombie, or needed
		}
		argv0, _, _ := bytes.Cut(cmd, []byte{0})
		out = append(out, process{pid, string(argv0)})
	}
	return out
}

// killTime is what processes have to end after each signal.
const killTime = 3 * time.Second

// killOthers ends all processes that nobody needs any longer.
func killOthers(ctx context.Context, log *console.Log) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		ps := others("/proc")
		if len(ps) == 0 {
			return
		}
		var names []string
		for _, p := range ps {
			names = append(names, p.name+" ("+strconv.Itoa(p.pid)+")")
			_ = syscall.Kill(p.pid, sig)
			_ = syscall.Kill(p.pid, syscall.SIGCONT) // one that is stopped hears nothing
		}
		how := "asked to end"
		if sig == syscall.SIGKILL {
			how = "killed"
		}
		log.Infof("left over and %s: %s", how, strings.Join(names, ", "))
		// Orphans of others are no children that could be waited for by pid.
		t := time.NewTicker(20 * time.Millisecond)
		end := time.NewTimer(killTime)
	wait:
		for len(others("/proc")) > 0 {
			select {
			case <-t.C:
			case <-end.C:
				break wait
			case <-ctx.Done():
				break wait
			}
		}
		t.Stop()
		end.Stop()
	}
}
