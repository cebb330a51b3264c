package build

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// zstdProgram finds zstd's program and its version; the output of one version
// is always the same.
func zstdProgram(ctx context.Context) (path, version string) {
	path, err := exec.LookPath("zstd")
	if err != nil {
		return "", ""
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", ""
	}
	return path, strings.TrimSpace(string(out))
}

// programStream pipes through zstd's program.
type programStream struct {
	in   io.WriteCloser
	cmd  *exec.Cmd
	said *bytes.Buffer
	done bool
	err  error
}

// startProgram is told the size of what will be written, if it is known: the
// program's tables, some 100 MiB otherwise, fit it then.
func startProgram(ctx context.Context, c codec, w io.Writer, size int) (io.WriteCloser, error) {
	p := &programStream{said: &bytes.Buffer{}}
	args := []string{fmt.Sprintf("-%d", c.level), "--single-thread", "--quiet", "--stdout"}
	if size >= 0 {
		args = append(args, fmt.Sprintf("--stream-size=%d", size))
	}
	p.cmd = exec.CommandContext(ctx, c.program, append(args, "-")...)
	p.cmd.Stdout, p.cmd.Stderr = w, p.said
	p.cmd.Env = []string{"LC_ALL=C"} // ZSTD_CLEVEL and the like must not count
	var err error
	if p.in, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("compress with %s: %w", c.program, err)
	}
	return p, nil
}

func (p *programStream) Write(b []byte) (int, error) { return p.in.Write(b) }

func (p *programStream) Close() error {
	if p.done {
		return p.err
	}
	p.done = true
	p.err = p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		p.err = fmt.Errorf("compress with %s: %w: %s", p.cmd.Path, err, bytes.TrimSpace(p.said.Bytes()))
	}
	return p.err
}
