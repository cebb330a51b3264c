package boot

import (
	"io"
	"sync"
	"testing"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
)

// The hooks of the initqueue look at the boot's words while the search for the
// root changes them.
func TestWordsBeside(t *testing.T) {
	b := &Boot{log: console.NewLog(io.Discard)}
	lines := []cmdline.Line{cmdline.Parse("root=LABEL=a rd.retry=1", "t"), cmdline.Parse("root=LABEL=b rd.retry=2 ro bareroot.role=root", "t")}
	b.useLine(lines[0])
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range 500 {
			b.useLine(lines[n%2])
		}
	})
	for range 500 {
		root, limit := b.hookVars()["root"], b.limit()
		if root != "LABEL=a" && root != "LABEL=b" || limit != time.Second && limit != 2*time.Second {
			t.Fatalf("root=%s, limit %s", root, limit)
		}
	}
	wg.Wait()
}
