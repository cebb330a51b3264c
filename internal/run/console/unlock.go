package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// Unlock answers the boot's questions from in, a person's terminal or a file
// with one passphrase a line. It waits up to patience for a question, and
// after an answer for what becomes of it.
func Unlock(path string, in io.Reader, out io.Writer, patience time.Duration) error {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("no boot listens for answers here: %w", err)
	}
	defer c.Close()
	r := bufio.NewReaderSize(c, maxAnswer)
	answers := bufio.NewReaderSize(in, maxAnswer)
	asked := false
	for {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		s, err := readLine(r)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && !asked:
			return fmt.Errorf("nothing was asked within %s", patience)
		case errors.Is(err, os.ErrDeadlineExceeded):
			fmt.Fprintln(out, "nothing more was asked")
			return nil
		case err != nil && asked:
			fmt.Fprintln(out, "the boot went on")
			return nil
		case err != nil:
			return fmt.Errorf("wait for a question: %w", err)
		}
		if news, ok := strings.CutPrefix(s, "say "); ok {
			fmt.Fprintln(out, news)
			continue
		}
		fmt.Fprintf(out, "%s: ", strings.TrimPrefix(s, "ask "))
		answer, err := secretLine(in, answers)
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		fmt.Fprintln(out)
		if _, err := fmt.Fprintf(c, "%s\n", answer); err != nil {
			return fmt.Errorf("the question was answered elsewhere: %w", err)
		}
		asked = true
	}
}

func secretLine(in io.Reader, r *bufio.Reader) (string, error) {
	if f, ok := in.(*os.File); ok {
		if restore, err := lineMode(int(f.Fd()), false, false); err == nil {
			defer restore()
		}
	}
	s, err := r.ReadString('\n')
	if err == io.EOF && s != "" {
		err = nil
	}
	return strings.TrimRight(s, "\r\n"), err
}
