package build

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"bareroot/internal/bootset"
	"bareroot/internal/human"
)

// BudgetError is the failure of a ramdisk that is larger than it may be.
type BudgetError struct {
	Size, Budget int64
	Segments     []SegmentResult
	Groups       []BudgetGroup // the costliest reasons, largest first
	Files        []bootset.File
}

// BudgetGroup is what one reason costs, before compression.
type BudgetGroup struct {
	Why   string
	Files int
	Size  int64
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("the ramdisk has %s, --size-budget allows %s", human.Bytes(e.Size), human.Bytes(e.Budget))
}

// Table writes what is big and why.
func (e *BudgetError) Table(w io.Writer) error {
	var b strings.Builder
	b.WriteString("segments, as downloaded:\n")
	for _, s := range e.Segments {
		fmt.Fprintf(&b, "%12s  %s\n", human.Bytes(s.Size), s.Kind)
	}
	b.WriteString("reasons, before compression:\n")
	for _, g := range e.Groups {
		fmt.Fprintf(&b, "%12s  %s (%s)\n", human.Bytes(g.Size), g.Why, human.Count(g.Files, "file"))
	}
	b.WriteString("files, before compression:\n")
	for _, f := range e.Files {
		fmt.Fprintf(&b, "%12s  %s (%s)\n", human.Bytes(f.Size), f.Path, f.Why)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// checkBudget compares a ramdisk with the size it may have.
func (o *Options) checkBudget(res *Result, files []bootset.File) error {
	if o.SizeBudget <= 0 || res.Size <= o.SizeBudget {
		return nil
	}
	const rows = 10
	e := &BudgetError{Size: res.Size, Budget: o.SizeBudget, Segments: res.Segments}
	groups := map[string]*BudgetGroup{}
	for _, f := range files {
		why := f.Why
		if strings.HasPrefix(why, "needed by ") {
			why = "needed by others"
		}
		g := groups[why]
		if g == nil {
			g = &BudgetGroup{Why: why}
			groups[why] = g
		}
		g.Files++
		g.Size += f.Size
	}
	for _, why := range sortedKeys(groups) {
		e.Groups = append(e.Groups, *groups[why])
	}
	slices.SortStableFunc(e.Groups, func(a, b BudgetGroup) int { return cmp.Compare(b.Size, a.Size) })
	e.Groups = e.Groups[:min(rows, len(e.Groups))]
	e.Files = slices.Clone(files)
	slices.SortStableFunc(e.Files, func(a, b bootset.File) int { return cmp.Compare(b.Size, a.Size) })
	e.Files = e.Files[:min(rows, len(e.Files))]
	return e
}
