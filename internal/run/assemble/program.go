package assemble

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bareroot/internal/run/console"
)

// runBound is what one program may take: a key derivation on a slow machine
// takes a minute.
const runBound = 5 * time.Minute

// Has says whether a program is in the ramdisk.
func Has(name string) bool { return program(name) != "" }

// Run runs a program of the ramdisk that is no assembler's and gives its exit
// code. A check of a filesystem may take as long as it takes.
func (e *Engine) Run(ctx context.Context, argv []string, line func(string)) (int, error) {
	ws, err := e.Runner.Run(ctx, console.Command{Argv: append([]string{program(argv[0])}, argv[1:]...), Line: line})
	if err != nil {
		return 0, err
	}
	if !ws.Exited() {
		return 0, fmt.Errorf("%s: %s", argv[0], console.ExitText(ws))
	}
	return ws.ExitStatus(), nil
}

// program finds a program of the ramdisk.
func program(name string) string {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		p := filepath.Join(dir, name)
		if fi, err := os.Stat(p); err == nil && fi.Mode()&0o111 != 0 && fi.Mode().IsRegular() {
			return p
		}
	}
	return ""
}

// exit is a program that ended with a code other than 0.
type exit struct {
	code int
	text string
}

func (e *exit) Error() string { return e.text }

// program runs argv of the ramdisk without udev. What it says goes to the
// log; an error holds the last of it.
func (e *Engine) program(ctx context.Context, argv []string, input string) ([]string, error) {
	path := program(argv[0])
	if path == "" {
		return nil, fmt.Errorf("run %s: this ramdisk has no such program", argv[0])
	}
	ctx, cancel := context.WithTimeoutCause(ctx, runBound, fmt.Errorf("it took longer than %s", runBound))
	defer cancel()
	env := append(console.Environment(), "DM_DISABLE_UDEV=1", "MDADM_NO_UDEV=1")
	env = append(append(env, lvmFor(e.Line)...), mdadmFor(e.Line)...)
	return run(ctx, e.Runner, e.Log, path, argv, env, input)
}

func run(ctx context.Context, r Runner, log *console.Log, path string, argv, env []string, input string) ([]string, error) {
	said := console.Lines{Max: 100}
	log.Debugf("run %q", argv)
	ws, err := r.Run(ctx, console.Command{Argv: append([]string{path}, argv[1:]...), Env: env, Input: input, Line: func(text string) {
		log.Debugf("%s: %s", argv[0], text)
		if text = strings.TrimSpace(text); text != "" {
			said.Add(text)
		}
	}})
	lines := said.All()
	if err != nil {
		return lines, err
	}
	if ws.Exited() && ws.ExitStatus() == 0 {
		return lines, nil
	}
	text := fmt.Sprintf("%s %s: %s", argv[0], verb(argv), console.ExitText(ws))
	if n := len(lines); n > 0 {
		text += ": " + strings.Join(lines[max(0, n-2):], "; ")
	}
	return lines, &exit{ws.ExitStatus(), text}
}

// verb is the short form of an argument vector, for messages.
func verb(argv []string) string {
	out := slices.DeleteFunc(slices.Clone(argv[1:]), func(a string) bool { return strings.Contains(a, " ") })
	if len(out) > 2 {
		out = []string{out[0], out[len(out)-1]}
	}
	return strings.Join(out, " ")
}
