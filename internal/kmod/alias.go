package kmod

import (
	"slices"
	"strings"
)

// aliasTable finds the patterns that match a string without trying them all:
// patterns are grouped by their literal beginning, and a query looks up each of
// its own beginnings of a length that occurs. It is made at every boot, of
// thousands of lines: it keeps places in the text and copies nothing.
type aliasTable struct {
	text    string
	aliases []alias
	first   []int32 // by hash of the literal beginning: number of an alias, from 1
	lengths []int   // of the literal beginnings, ascending
}

type alias struct {
	at   int32 // where the pattern starts
	fix  int32 // length of its literal beginning
	next int32 // with the same hash: number of an alias, from 1
}

func parseAliases(text string) aliasTable {
	lines := strings.Count(text, "\n") + 1
	size := 1
	for size < lines {
		size *= 2
	}
	t := aliasTable{text: text, aliases: make([]alias, 0, lines), first: make([]int32, size)}
	var seen []bool
	for start := 0; start < len(text); {
		end := start + lineLength(text[start:])
		at := start + len("alias ")
		if strings.HasPrefix(text[start:end], "alias ") {
			for at < end && text[at] == ' ' {
				at++
			}
			h, n := hashStart, at
		literal:
			for ; n < end; n++ {
				switch c := text[n]; c {
				case '*', '?', '[', '\\', ' ':
					break literal
				default:
					h = hashNext(h, c)
				}
			}
			slot, fix := int(h)&(size-1), n-at
			t.aliases = append(t.aliases, alias{int32(at), int32(fix), t.first[slot]})
			t.first[slot] = int32(len(t.aliases))
			for len(seen) <= fix {
				seen = append(seen, false)
			}
			seen[fix] = true
		}
		start = end + 1
	}
	for n, is := range seen {
		if is {
			t.lengths = append(t.lengths, n)
		}
	}
	return t
}

func lineLength(text string) int {
	if n := strings.IndexByte(text, '\n'); n >= 0 {
		return n
	}
	return len(text)
}

// The hash is FNV-1a, over what Normalize makes of the bytes.
const hashStart = uint32(2166136261)

func hashNext(h uint32, c byte) uint32 {
	if c == '-' {
		c = '_'
	}
	return (h ^ uint32(c)) * 16777619
}

func (t *aliasTable) match(s string) []string {
	s = Normalize(strings.TrimSpace(s))
	type hit struct {
		at     int32
		module string
	}
	var hits []hit
	h, hashed := hashStart, 0
	for _, n := range t.lengths {
		if n > len(s) {
			break
		}
		for ; hashed < n; hashed++ {
			h = hashNext(h, s[hashed])
		}
		for i := t.first[int(h)&(len(t.first)-1)]; i > 0; i = t.aliases[i-1].next {
			a := t.aliases[i-1]
			line := t.text[a.at : int(a.at)+lineLength(t.text[a.at:])]
			// Patterns never hold blanks, modules' names neither.
			pattern, module, ok := strings.Cut(line, " ")
			if ok && int(a.fix) == n && Normalize(pattern[:n]) == s[:n] && fnmatch(Normalize(pattern[n:]), s[n:]) {
				hits = append(hits, hit{a.at, Normalize(strings.TrimSpace(module))})
			}
		}
	}
	slices.SortFunc(hits, func(a, b hit) int { return int(a.at - b.at) })
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
