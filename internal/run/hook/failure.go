package hook

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Error is a hook that failed.
type Error struct {
	Hook  string   // its path
	Stage string   //
	How   string   // how it ended
	Said  []string // its last words
}

func (e *Error) Error() string {
	s := fmt.Sprintf("hook %s of stage %s: %s", filepath.Base(e.Hook), e.Stage, e.How)
	if len(e.Said) > 0 {
		s += "; it said: " + strings.Join(e.Said, " / ")
	}
	return s
}

// Missing says what the boot lacks.
func (e *Error) Missing() string {
	return "the success of " + e.Hook + ", which was put into this ramdisk for stage " + e.Stage
}

// Try names commands for the operator.
func (e *Error) Try() []string {
	run := e.Hook
	if strings.HasSuffix(run, ".sh") {
		run = "sh -x " + run
	}
	return []string{
		". /run/bareroot/hooks.env; " + run + "   # run it by hand, with what earlier hooks exported",
		"cat " + e.Hook,
		"rm " + e.Hook + "; exit   # go on without it",
	}
}

// said is how many last lines of a hook that failed are shown with the
// failure.
const said = 5
