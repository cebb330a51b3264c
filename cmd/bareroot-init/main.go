// bareroot-init is PID 1 of every ramdisk. Under the name modprobe it loads
// kernel modules, for the kernel and for people; as unlock it answers what the
// boot asks, such as the passphrase of a disk; as blkid it says what is on disks; as
// shutdown, run by the root's init, it takes the root apart.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"bareroot/internal/run/boot"
	"bareroot/internal/run/console"
	"bareroot/internal/version"
)

func main() {
	switch filepath.Base(os.Args[0]) {
	case "modprobe":
		os.Exit(boot.Modprobe(os.Args[1:]))
	case "blkid":
		os.Exit(boot.Blkid(os.Args[1:], os.Stdout, os.Stderr))
	case "shutdown":
		if os.Getpid() == 1 {
			boot.Shutdown(os.Args[1:])
		}
	case "unlock":
		os.Exit(unlock())
	}
	if os.Getpid() != 1 {
		fmt.Fprintf(os.Stderr, "bareroot-init %s: this is PID 1 of a ramdisk; as a command it does nothing (under the name modprobe it loads modules)\n", version.String())
		os.Exit(2)
	}
	boot.Main()
}

// unlock gives a question half a minute to come up, or to come up again after
// a wrong answer.
func unlock() int {
	if err := console.Unlock(console.AskPath, os.Stdin, os.Stdout, 30*time.Second); err != nil {
		fmt.Fprintf(os.Stderr, "unlock: %v\n", err)
		return 1
	}
	return 0
}
