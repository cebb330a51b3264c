package console

import (
	"fmt"
	"os"
	"syscall"
)

// rc is read by the shell at its start.
const rc = "/run/bareroot/shrc"

// Shell opens a shell on the console and waits for its end. screen is what
// the operator reads first.
func Shell(r *Reaper, ttyName string, screen string) error {
	tty, err := OpenTTY(ttyName)
	if err != nil {
		return err
	}
	defer tty.Close()
	fmt.Fprintf(tty, "\n%s\n", screen)
	sh := "/bin/sh"
	if _, err := os.Stat(sh); err != nil {
		return fmt.Errorf("open a shell: %w (this ramdisk was built without one)", err)
	}
	env := Environment()
	// busybox's shell prefers its own modprobe, which reads no .ko.zst.
	if err := os.WriteFile(rc, []byte("alias modprobe=/usr/sbin/modprobe\n"), 0o644); err == nil {
		env = append(env, "ENV="+rc)
	}
	pid, done, err := r.Start([]string{sh, "-i"}, env, tty)
	if err != nil {
		return err
	}
	<-done
	// What the shell left in its session must not keep reading the terminal.
	_ = syscall.Kill(-pid, syscall.SIGHUP)
	return nil
}
