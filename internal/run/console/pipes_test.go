package console

import (
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A program that cannot be started leaves no descriptor behind, whether it is
// missing or there are no pipes for it.
func TestPipesClosed(t *testing.T) {
	r := NewReaper()
	defer r.Stop()
	start := func() {
		t.Helper()
		if _, err := r.Run(t.Context(), Command{Argv: []string{"/no/such"}, Output: io.Discard}); err == nil {
			t.Error("Run started it")
		}
		if _, err := r.Talk([]string{"/no/such"}, nil); err == nil {
			t.Error("Talk started it")
		}
	}
	open := func() int {
		t.Helper()
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	start() // the runtime's own descriptors come with the first pipe
	before := open()
	start()
	if n := open(); n > before {
		t.Errorf("%d descriptors more", n-before)
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	for more := range 6 { // the first pipe has no room, or the third
		few := was
		few.Cur = uint64(before - 1 + more) // /proc/self/fd was open when it was counted
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
			t.Fatal(err)
		}
		start()
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
		if n := open(); n > before {
			t.Errorf("with room for %d: %d descriptors more", more, n-before)
		}
	}
}
