package demo

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	r := row{Name: "m1", Firmware: "bios", State: "write", Message: "writes\x1b[2J image", Done: 1 << 20, Total: 4 << 20, Rate: 1 << 20}
	for _, tc := range []struct {
		width int
		want  string
	}{
		{0, "m1   bios  write       [#####...............]  25% 1.0 MiB/s ETA 3.00 s  writes?[2J image"},
		{40, "m1   bios  write       [#####..........…"},
	} {
		if got := r.line(tc.width); got != tc.want {
			t.Errorf("%d columns: %q, want %q", tc.width, got, tc.want)
		}
	}
}

// TestDisplayFollowsTheWindow: lines are cut to what the window has now, so
// that none wraps and spoils the ones above.
func TestDisplayFollowsTheWindow(t *testing.T) {
	var b bytes.Buffer
	width := 60
	d := newDisplay(&b, true, func() int { return width }, time.Now(), []row{{Name: "m1"}})
	width = 30
	b.Reset()
	d.set(0, func(r *row) { r.Message = strings.Repeat("x", 100) })
	line := strings.TrimSuffix(b.String(), "\n")
	line = line[strings.LastIndex(line, "\x1b[K")+3:]
	if n := len([]rune(line)); n != 30 {
		t.Errorf("%d columns: %q", n, line)
	}
}
