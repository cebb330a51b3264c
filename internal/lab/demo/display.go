package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"

	"bareroot/internal/human"
)

// row is what the display shows of one machine.
type row struct {
	Name, Firmware, State, Message string
	Done, Total, Rate              int64 // of the running download, in bytes
	Failed, Goal                   bool
}

// line is a row on a terminal of that many columns.
func (r row) line(width int) string {
	s := fmt.Sprintf("%-4s %-5s %-11s ", r.Name, r.Firmware, r.State)
	if r.Total > 0 && !r.Goal && !r.Failed {
		s += bar(r.Done, r.Total, 20) + fmt.Sprintf(" %3d%% %9s", 100*r.Done/r.Total, human.Rate(r.Rate))
		if r.Rate > 0 && r.Done < r.Total {
			s += " ETA " + human.Duration(time.Duration((r.Total-r.Done)/r.Rate)*time.Second)
		}
		s += "  "
	}
	s += strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?' // it comes from a machine, and must not move the cursor
		}
		return c
	}, r.Message)
	if n := []rune(s); width > 0 && len(n) > width {
		s = string(n[:width-1]) + "…"
	}
	return s
}

func bar(done, total int64, width int) string {
	n := int(int64(width) * min(done, total) / total)
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", width-n) + "]"
}

// display keeps one line a machine up to date on a terminal, and prints a
// line for each change elsewhere.
type display struct {
	w     io.Writer
	tty   bool
	width func() int
	start time.Time

	mu    sync.Mutex
	rows  []row
	drawn int // lines on the terminal that belong to us
}

func newDisplay(w io.Writer, tty bool, width func() int, start time.Time, rows []row) *display {
	d := &display{w: w, tty: tty, width: width, start: start, rows: rows}
	d.draw()
	return d
}

// set changes row i.
func (d *display) set(i int, change func(*row)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.rows[i]
	change(&d.rows[i])
	if d.rows[i] == old {
		return
	}
	if d.tty {
		d.draw()
		return
	}
	// Off a terminal a line per tenth of a download is enough.
	if r := d.rows[i]; old.State != r.State || old.Message != r.Message || r.Total > 0 && 10*old.Done/max(old.Total, 1) != 10*r.Done/r.Total {
		fmt.Fprintf(d.w, "%7s  %s\n", human.Duration(time.Since(d.start)), r.line(0))
	}
}

func (d *display) draw() {
	if !d.tty {
		return
	}
	var b strings.Builder
	if d.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", d.drawn)
	}
	width := 0
	if d.width != nil {
		width = d.width() // the window may have been resized
	}
	for _, r := range d.rows {
		b.WriteString("\r\x1b[K" + r.line(width) + "\n")
	}
	d.drawn = len(d.rows)
	io.WriteString(d.w, b.String())
}

// table prints rows of cells in aligned columns, the first row as heading.
func table(w io.Writer, rows [][]string) {
	width := map[int]int{}
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	for _, r := range rows {
		var b strings.Builder
		for i, c := range r {
			b.WriteString(c)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-len([]rune(c))+2))
			}
		}
		fmt.Fprintln(w, b.String())
	}
}
