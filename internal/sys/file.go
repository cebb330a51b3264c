package sys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Line is the text of a small file of sysfs or proc without the blanks around
// it, "" if there is no such file or the driver behind it does not know.
func Line(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// CopyFile makes a plain file at to, where nothing may be, with what from holds
// and exactly that mode; it gives the bytes written. What could not be copied
// whole is removed. Nothing is synced: in a ramdisk it goes from memory to memory.
func CopyFile(from, to string, mode os.FileMode) (int64, error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, in)
	// The file's creation heeds the umask.
	if err = errors.Join(err, out.Chmod(mode), out.Close()); err != nil {
		_ = os.Remove(to)
		return 0, fmt.Errorf("copy %s: %w", from, err)
	}
	return n, nil
}

// UntilDone reads from r for as long as ctx lasts: it ends a long copy. A read
// that has begun goes on.
func UntilDone(ctx context.Context, r io.Reader) io.Reader { return untilDone{ctx, r} }

type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}

// InPieces writes to w no more than 64 KiB at once. For a larger write Linux takes
// the page cache's memory in larger blocks, and in a virtual machine whose host
// takes back what is free (virtio-balloon's free page reporting) those are the ones
// it has taken: 56 MiB then need 0.2 s of CPU time in place of 0.03.
func InPieces(w io.Writer) io.Writer { return inPieces{w} }

type inPieces struct{ w io.Writer }

func (p inPieces) Write(b []byte) (done int, err error) {
	const piece = 64 << 10
	for {
		n, err := p.w.Write(b[done:min(done+piece, len(b))])
		if done += n; err != nil || done >= len(b) {
			return done, err
		}
	}
}
