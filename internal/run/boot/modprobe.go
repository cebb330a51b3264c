package boot

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/device"
)

// linePath holds the joined command line, for module parameters and
// blacklists.
const linePath = "/run/bareroot/cmdline"

// Modprobe is the program that the kernel starts as /sbin/modprobe -q -- NAME.
// It also takes -a, -b, -v and several names. It returns the exit code.
func Modprobe(args []string) int {
	quiet := false
	var names []string
	for i, a := range args {
		if a == "--" {
			names = append(names, args[i+1:]...)
			break
		}
		switch {
		case a == "-q" || a == "--quiet":
			quiet = true
		case a == "-a" || a == "-b" || a == "-v" || a == "--all":
		case strings.HasPrefix(a, "-"):
			fmt.Fprintf(os.Stderr, "modprobe: option %s is not known; usage: modprobe [-q] [-a] [--] NAME...\n", a)
			return 2
		default:
			names = append(names, a)
		}
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return 1
	}
	text, err := os.ReadFile(linePath)
	if err != nil {
		text, _ = os.ReadFile("/proc/cmdline") // init has not joined the line yet
	}
	line := cmdline.Parse(string(text), "command line")
	if line.Bool(false, "rd.debug", "rdinitdebug") {
		_ = os.WriteFile("/dev/kmsg", []byte("<30>bareroot: the kernel or a program asks for "+strings.Join(names, " ")+"\n"), 0) // a trace, no more
	}
	m, err := device.NewModules("/usr/lib/modules/"+unix.ByteSliceToString(uts.Release[:]), line)
	if err != nil {
		fmt.Fprintf(os.Stderr, "modprobe: %v\n", err)
		return 1
	}
	load := m.Load
	if quiet {
		load = m.LoadBackground // the kernel asks for file systems and algorithms
	}
	code := 0
	for _, n := range names {
		if err := load(n); err != nil {
			if !quiet {
				fmt.Fprintf(os.Stderr, "modprobe: %v\n", err)
			}
			code = 1
		}
	}
	return code
}
