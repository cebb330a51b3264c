// Package attack knocks at every door of the real server with what no
// machine and no operator would send: garbage, floods, tricks with paths,
// stolen, old and missing secrets. The server runs as an operator starts it,
// on a bridge in a network namespace; the attacker is in another namespace on
// the same bridge. After each attack the server must live, have counted the
// errors, have given away nothing, and still serve those who behave.
package attack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"

	"bareroot/internal/lab/netns"
)

const envNoVM = "BAREROOT_NO_VM"

// TestMain runs the tests in namespaces of their own.
func TestMain(m *testing.M) {
	netns.Reexec()
	if os.Getenv(envNoVM) != "" {
		os.Exit(m.Run()) // each test says that it is skipped, and why
	}
	if netns.Inside() {
		os.Exit(inside(m))
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	c, err := netns.Start(netns.Options{Args: os.Args[1:], Run: true, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	if err != nil {
		fmt.Fprintf(os.Stderr, "attack: %v\nattack: %s=REASON skips the tests that need it\n", err, envNoVM)
		os.Exit(1)
	}
	// "go test" asks for a stack dump so.
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, unix.SIGQUIT)
	go func() {
		for s := range quit {
			_ = c.Signal(s)
		}
	}()
	err = c.Wait(ctx)
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit):
		os.Exit(max(exit.ExitCode(), 1))
	}
	fmt.Fprintln(os.Stderr, "attack:", err)
	os.Exit(1)
}

func inside(m *testing.M) int {
	if err := netns.DefaultBridge().Up(); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		return 1
	}
	code := m.Run()
	if err := stopSite(); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		return max(code, 1)
	}
	return code
}
