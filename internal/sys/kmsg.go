package sys

import (
	"fmt"
	"os"
)

// Levels of the kernel log.
const (
	LevelErr   = 3
	LevelWarn  = 4
	LevelInfo  = 6
	LevelDebug = 7
)

// Kmsg writes lines into the kernel's log.
type Kmsg struct{ f *os.File }

// OpenKmsg opens /dev/kmsg. A nil *Kmsg drops what is written to it.
func OpenKmsg() (*Kmsg, error) {
	f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return &Kmsg{f}, nil
}

// Write logs one line with facility daemon.
func (k *Kmsg) Write(level int, line string) {
	if k == nil {
		return
	}
	// Best effort: the line is on the console and in the boot log too.
	_, _ = fmt.Fprintf(k.f, "<%d>%s\n", 3<<3|level, line)
}
