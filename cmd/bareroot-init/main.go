// bareroot-init is PID 1 of every ramdisk. Under the name modprobe it loads
// kernel modules, for the kernel and for people.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"bareroot/internal/run/boot"
	"bareroot/internal/version"
)

func main() {
	if filepath.Base(os.Args[0]) == "modprobe" {
		os.Exit(boot.Modprobe(os.Args[1:]))
	}
	if os.Getpid() != 1 {
		fmt.Fprintf(os.Stderr, "bareroot-init %s: this is PID 1 of a ramdisk; as a command it does nothing (under the name modprobe it loads modules)\n", version.String())
		os.Exit(2)
	}
	boot.Main()
}
