package console

import (
	"slices"
	"sync"
)

// Lines keeps the last lines that a program wrote, Max at most. Its daemons may
// go on writing while they are read.
type Lines struct {
	Max int

	mu   sync.Mutex
	text []string
}

// Add takes a line.
func (l *Lines) Add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text = append(l.text, s); len(l.text) > l.Max {
		l.text = l.text[1:]
	}
}

// All are the lines that are kept.
func (l *Lines) All() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.text)
}
