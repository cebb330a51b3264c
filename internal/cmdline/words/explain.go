package words

import (
	"fmt"
	"slices"
	"strings"

	"bareroot/internal/cmdline"
)

// States of a word in a line, beside the statuses.
const (
	Malformed  = "malformed"
	Unknown    = "unknown"
	Overridden = "overridden"
)

// Word is one word of an explained line.
type Word struct {
	Word    string `json:"word"`             // without passwords
	Source  string `json:"source,omitempty"` // where it came from
	Name    string `json:"name,omitempty"`   // in its proper spelling
	State   string `json:"state"`            // works, not yet, no effect, not ours, unknown, malformed, overridden
	Stage   string `json:"stage,omitempty"`
	Does    string `json:"does,omitempty"`
	Problem string `json:"problem,omitempty"` // of an unknown, malformed or overridden word
	Notice  string `json:"notice,omitempty"`  // what an operator should know though the word is accepted
}

// Boot is what the whole line will do.
type Boot struct {
	Role    string `json:"role"`
	Root    string `json:"root"`
	Network string `json:"network"`
}

// Report is an explained line.
type Report struct {
	Words       []Word   `json:"words"`
	Errors      []string `json:"errors"`      // rules that several words break together
	Contradicts []string `json:"contradicts"` // words that cannot both be meant
	Boot        Boot     `json:"boot"`
}

// Malformed says whether the boot would refuse or disregard a word because of
// how it is written.
func (r Report) Malformed() bool {
	return len(r.Errors) > 0 || slices.ContainsFunc(r.Words, func(w Word) bool { return w.State == Malformed })
}

// Explain says what each word of a line does. role is what the boot is there
// to do if the line does not say it.
func Explain(line cmdline.Line, role string) Report {
	all := All()
	proper := line.Canonical()
	r := Report{Words: []Word{}, Errors: []string{}, Contradicts: []string{}}
	for i, w := range line {
		if w.Arg {
			r.Words = append(r.Words, Word{Word: w.Masked(), Source: w.Source, State: Works.Text(), Stage: "cleanup", Does: "argument of the root's init"})
			continue
		}
		r.Words = append(r.Words, explainWord(all, proper, i, w))
	}
	r.together(proper)
	r.Boot = summary(proper, role)
	return r
}

func explainWord(all []Def, proper cmdline.Line, i int, w cmdline.Word) Word {
	out := Word{Word: w.Masked(), Source: w.Source}
	d, alias, old, ok := Find(all, w.Key)
	if !ok {
		return unknown(all, out, w)
	}
	p := proper[i]
	out.Name, out.State, out.Stage = d.Name, d.Status.Text(), d.Stage
	if d.Instead != "" || alias && d.Status != Elsewhere && p.Key != w.Key {
		out.Name = p.Masked()
	}
	switch {
	case old:
		out.Notice = fmt.Sprintf("%s is deprecated; write %s", w.Key, p.Masked())
	case alias && p.Key != w.Key:
		out.Notice = "read as " + p.Masked()
	}
	if d.Instead != "" {
		if to, _, _, ok := Find(all, p.Key); ok {
			d = to
			out.State = d.Status.Text()
		}
	}
	if later := overriddenBy(d, proper, i); later != "" {
		out.State, out.Problem = Overridden, "the later "+later+" wins"
	}
	if rule := d.Rule().Broken(p); rule != "" {
		out.State, out.Problem = Malformed, rule
		return out
	}
	if d.Name == "root" {
		if r, err := cmdline.ParseRoot(p.Value); err == nil && out.State == Works.Text() {
			out.State = kindOf(r).Status.Text()
		}
	}
	does, notice, err := meaning(d, p, proper)
	if err != nil {
		out.State, out.Problem = Malformed, strings.TrimPrefix(mask(err.Error(), p), p.Masked()+": ")
		return out
	}
	out.Does = does
	if notice = strings.TrimPrefix(notice, p.Masked()+": "); notice != "" {
		out.Notice = strings.TrimPrefix(out.Notice+"; "+notice, "; ")
	}
	if d.Status == NoUse {
		out.Does = "nothing: " + d.Why
	}
	return out
}

// mask takes the word's passwords out of a message that quotes it.
func mask(msg string, w cmdline.Word) string {
	if m := w.Masked(); m != w.String() {
		msg = strings.ReplaceAll(msg, w.String(), m)
		_, v, _ := strings.Cut(m, "=")
		msg = strings.ReplaceAll(msg, w.Value, v)
	}
	return msg
}

// overriddenBy is the later word that makes word i of no effect, or "".
func overriddenBy(d Def, l cmdline.Line, i int) string {
	if d.Repeat || d.Status == Elsewhere || strings.HasSuffix(d.Name, "*") {
		return ""
	}
	same := []string{l[i].Key}
	if l[i].Key == "ro" || l[i].Key == "rw" {
		same = []string{"ro", "rw"}
	}
	for j := len(l) - 1; j > i; j-- {
		if slices.Contains(same, l[j].Key) {
			if l[j].Key == l[i].Key && l[j].Value == l[i].Value && l[j].Bare == l[i].Bare {
				return "" // twice the same
			}
			return l[j].Masked()
		}
	}
	return ""
}

// families are beginnings of names that are no kernel module's.
var families = []string{"rd.", "bareroot.", "metal.", "fdi.", "proxy.", "ipa-", "rd_"}

func unknown(all []Def, out Word, w cmdline.Word) Word {
	out.State = Unknown
	near := nearest(all, w.Key)
	ours := slices.ContainsFunc(families, func(p string) bool { return strings.HasPrefix(w.Key, p) })
	module, param, dotted := strings.Cut(w.Key, ".")
	switch {
	case w.Key == "rd.modules":
		near = []string{"rd.driver.pre", "modules_load"}
	case dotted && !ours && module != "" && param != "" && !strings.ContainsAny(module, "/:"):
		out.State, out.Stage, out.Does = string(Elsewhere), "kernel", fmt.Sprintf("parameter %s of the kernel module %s", param, module)
		if len(near) > 0 {
			out.Notice = "unless " + strings.Join(near, " or ") + " is meant"
		}
		return out
	}
	out.Problem = "no such word; it is ignored"
	if len(near) > 0 {
		out.Problem += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	if !ours && len(near) == 0 {
		out.Problem = "no such word; it is ignored here, and the kernel's and the root's affair"
	}
	return out
}

// nearest is up to three names that a typing error may have been meant for.
func nearest(all []Def, key string) []string {
	limit := 2
	if len(key) < 6 {
		limit = 1
	}
	if len(key) < 3 {
		return nil
	}
	var out []string
	for _, d := range all {
		if d.Status == Elsewhere || strings.HasSuffix(d.Name, "*") {
			continue
		}
		for _, n := range append([]string{d.Name}, d.Aliases...) {
			dist := distance(strings.ToLower(strings.ReplaceAll(key, "_", "-")), strings.ToLower(strings.ReplaceAll(n, "_", "-")))
			if dist < limit {
				limit, out = dist, nil
			}
			if dist <= limit {
				out = append(out, n)
			}
		}
	}
	return out[:min(len(out), 3)]
}

// distance counts the letters to add, drop, change or swap with their
// neighbour to make b of a.
func distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
