package hosttool

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	out, err := Host{}.Run(t.Context(), Cmd{Args: []string{"cat"}, Stdin: strings.NewReader("in")})
	if err != nil || string(out) != "in" {
		t.Errorf("cat: %q, %v", out, err)
	}
	_, err = Run(t.Context(), "sh", "-c", "echo disk on fire >&2; exit 3")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("failing program: %v", err)
	}
	if _, err := Run(t.Context(), "no-such-program-here"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("missing program: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, "cat"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
