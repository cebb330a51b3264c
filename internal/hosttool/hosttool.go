// Package hosttool runs programs of the distribution: the only place where
// bareroot starts one and waits for it. Arguments are a list, never a shell
// line. It is not for long-lived children (QEMU), whose owners start them.
package hosttool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Runner runs a program and returns its standard output. Tests put a fake in
// its place.
type Runner interface {
	Run(ctx context.Context, c Cmd) ([]byte, error)
}

// Cmd is one call.
type Cmd struct {
	Args  []string  // program and arguments
	Dir   string    // working directory, "" = ours
	Env   []string  // added to the environment
	Stdin io.Reader // nil = /dev/null
	Log   io.Writer // gets standard error as it comes, if not nil
}

// Host runs programs of this machine.
type Host struct{}

// Run starts c and waits. The error holds the last lines of standard error.
func (Host) Run(ctx context.Context, c Cmd) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Stdin = c.Dir, c.Stdin
	if c.Env != nil {
		cmd.Env = append(cmd.Environ(), c.Env...)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if c.Log != nil {
		cmd.Stderr = io.MultiWriter(&errs, c.Log)
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return out.Bytes(), fmt.Errorf("%s: %w%s", c.Args[0], err, tail(errs.String()))
	}
	return out.Bytes(), nil
}

// Run is Host{}.Run with arguments only.
func Run(ctx context.Context, args ...string) ([]byte, error) {
	return Host{}.Run(ctx, Cmd{Args: args})
}

func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > 4 {
		lines = lines[len(lines)-4:]
	}
	if t := strings.Join(lines, "; "); t != "" {
		return ": " + t
	}
	return ""
}
