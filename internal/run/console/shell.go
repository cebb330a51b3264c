package console

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Shell opens a shell on the console and waits for its end. screen is what
// the operator reads first.
func Shell(r *Reaper, ttyName string, screen string) error {
	tty, err := OpenTTY(ttyName)
	if err != nil {
		return err
	}
	defer tty.Close()
	fmt.Fprintf(tty, "\r\n%s\r\n", strings.ReplaceAll(screen, "\n", "\r\n"))
	sh := "/bin/sh"
	if _, err := os.Stat(sh); err != nil {
		return fmt.Errorf("open a shell: %w (this ramdisk was built without one)", err)
	}
	pid, done, err := r.Start([]string{sh, "-i"}, Environment(), tty)
	if err != nil {
		return err
	}
	<-done
	// What the shell left in its session must not keep reading the terminal.
	_ = syscall.Kill(-pid, syscall.SIGHUP)
	return nil
}
