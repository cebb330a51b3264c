package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"bareroot/internal/human"
)

// table is rows of cells, printed in aligned columns.
type table struct{ rows [][]string }

// newTable starts a table with its headings.
func newTable(headings ...string) *table { return &table{rows: [][]string{headings}} }

// add appends a row. An empty cell is shown as "-", so that columns can be
// counted by other programs too.
func (t *table) add(cells ...string) {
	row := make([]string, len(cells))
	for i, c := range cells {
		if row[i] = clean(c); row[i] == "" {
			row[i] = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// write prints the table, each line after indent.
func (t *table) write(w io.Writer, indent string) {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, row := range t.rows {
		var b strings.Builder
		for i, c := range row {
			b.WriteString(c)
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2))
		}
		fmt.Fprintf(w, "%s%s\n", indent, strings.TrimRight(b.String(), " "))
	}
}

// fields prints "name  value" lines with the values in one column, without
// those that are empty.
type fields struct{ t table }

func (f *fields) add(name, value string) {
	if value != "" {
		f.t.add(name, value)
	}
}

func (f *fields) write(w io.Writer, indent string) { f.t.write(w, indent) }

// clean replaces what could move a terminal's cursor or hide text. Messages,
// models and serials come from machines that nobody has vouched for.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}

// cut shortens s to n characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return strings.TrimRight(string(r[:n-1]), " ") + "…"
	}
	return s
}

// clock is a moment in local time.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

var longHash = regexp.MustCompile(`\b([0-9a-f]{12})[0-9a-f]{52}\b`)

// shortHashes cuts the hashes in a text.
func shortHashes(s string) string { return longHash.ReplaceAllString(s, "$1") }

// short is the first 12 digits of a hash.
func short(hash string) string { return hash[:min(12, len(hash))] }

// ago is the time since t, to the second.
func ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero() || d >= time.Minute:
		return human.Ago(t, now)
	case d < time.Second: // also when the server's clock is ahead of ours
		return "just now"
	default:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	}
}
