package kmod

import (
	"slices"
	"strings"
)

// aliasTable finds the patterns that match a string without trying them all:
// patterns are grouped by their literal beginning, and a query looks up each of
// its own beginnings of a length that occurs.
type aliasTable struct {
	byPrefix map[string][]alias
	lengths  []int // of the literal beginnings, ascending
}

type alias struct {
	rest   string // the pattern after the literal beginning
	module string
	line   int
}

func parseAliases(text string) aliasTable {
	t := aliasTable{byPrefix: make(map[string][]alias, strings.Count(text, "\n")/2)}
	seen := map[int]bool{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		pattern, ok := strings.CutPrefix(line, "alias ")
		if !ok {
			continue
		}
		// Patterns never hold blanks, modules' names neither.
		pattern, module, ok := strings.Cut(strings.TrimSpace(pattern), " ")
		if !ok {
			continue
		}
		pattern = Normalize(pattern)
		cut := strings.IndexAny(pattern, `*?[\`)
		if cut < 0 {
			cut = len(pattern)
		}
		prefix := pattern[:cut]
		t.byPrefix[prefix] = append(t.byPrefix[prefix], alias{pattern[cut:], Normalize(strings.TrimSpace(module)), n})
		if !seen[cut] {
			seen[cut] = true
			t.lengths = append(t.lengths, cut)
		}
	}
	slices.Sort(t.lengths)
	return t
}

func (t *aliasTable) match(s string) []string {
	s = Normalize(strings.TrimSpace(s))
	var hits []alias
	for _, n := range t.lengths {
		if n > len(s) {
			break
		}
		for _, a := range t.byPrefix[s[:n]] {
			if fnmatch(a.rest, s[n:]) {
				hits = append(hits, a)
			}
		}
	}
	slices.SortFunc(hits, func(a, b alias) int { return a.line - b.line })
	var out []string
	for _, h := range hits {
		if !slices.Contains(out, h.module) {
			out = append(out, h.module)
		}
	}
	return out
}

// fnmatch is fnmatch(3) with no flags, on bytes: *, ?, [set], [!set], \c.
func fnmatch(p, s string) bool {
	back, backS := -1, 0 // where to try again after a star
	i, j := 0, 0
	for {
		if i < len(p) && p[i] == '*' {
			i++
			back, backS = i, j
			continue
		}
		if j == len(s) {
			if i == len(p) {
				return true
			}
			// What is left of the pattern needs a byte; taking more for the
			// star leaves fewer.
			return false
		}
		if n, ok := matchOne(p[i:], s[j]); ok {
			i, j = i+n, j+1
			continue
		}
		if back < 0 {
			return false
		}
		backS++
		i, j = back, backS
	}
}

// matchOne matches one byte with the beginning of p and returns the length of
// what it matched with.
func matchOne(p string, c byte) (int, bool) {
	switch {
	case p == "":
		return 0, false
	case p[0] == '?':
		return 1, true
	case p[0] == '\\' && len(p) > 1:
		return 2, p[1] == c
	case p[0] == '[':
		if n, ok, closed := matchSet(p, c); closed {
			return n, ok
		}
		return 1, c == '[' // no closing bracket: it stands for itself
	}
	return 1, p[0] == c
}

func matchSet(p string, c byte) (n int, ok, closed bool) {
	i := 1
	not := i < len(p) && (p[i] == '!' || p[i] == '^')
	if not {
		i++
	}
	for first := true; i < len(p); first = false {
		if p[i] == ']' && !first {
			return i + 1, ok != not, true
		}
		lo := p[i]
		if lo == '\\' && i+1 < len(p) {
			i++
			lo = p[i]
		}
		hi := lo
		i++
		if i+1 < len(p) && p[i] == '-' && p[i+1] != ']' {
			hi = p[i+1]
			i += 2
			if hi == '\\' && i < len(p) {
				hi = p[i]
				i++
			}
		}
		ok = ok || lo <= c && c <= hi
	}
	return 0, false, false
}
