// Package words is what is said about the words of the kernel command line:
// one table with every word of dracut 059 and dracut-ng, of the kernel, klibc
// and pxelinux, of the dialects of other deployment systems, and our own. From
// it come docs/cmdline.md, "bareroot cmdline" and the compact table of package
// cmdline, which is what bareroot-init links; init never links this package.
package words

import (
	"fmt"
	"slices"
	"strings"

	"bareroot/internal/cmdline"
)

// Status says what becomes of a word in this version.
type Status string

// The statuses. The zero value is that of a word that is carried out.
const (
	Works     Status = ""
	NotYet    Status = "not yet"   // understood, not carried out
	NoUse     Status = "no effect" // accepted and meaningless here; Why says the reason
	Elsewhere Status = "not ours"  // for the kernel, or for the root's own programs
)

// Text is the status in a table.
func (s Status) Text() string {
	if s == Works {
		return "works"
	}
	return string(s)
}

// Def is one word.
type Def struct {
	Name     string   // a "*" at its end stands for any text
	Aliases  []string // other spellings with the same meaning
	Old      []string // deprecated spellings
	Also     []string // other words of which the same is to be said
	Instead  string   // set for a deprecated word: what to write now
	Type     cmdline.Type
	Min, Max int64 // of a number; Max 0: no limit
	Choices  []string
	Default  string
	Repeat   bool   // every occurrence counts; else the last one wins
	Stage    string // the stage that reads it
	Status   Status
	From     string // where the word comes from
	Meaning  string
	Why      string // for NoUse: why; else: how we differ
}

// Names are the word's spellings, its proper one first, and the other words.
func (d Def) Names() []string {
	return slices.Concat([]string{d.Name}, d.Aliases, d.Old, d.Also)
}

// The types, for the rows.
const (
	Bool    = cmdline.Bool
	Flag    = cmdline.Flag
	Number  = cmdline.Number
	Text    = cmdline.Text
	Choice  = cmdline.Choice
	Hash    = cmdline.Hash
	Form    = cmdline.Form
	List    = cmdline.List
	Path    = cmdline.Path
	URL     = cmdline.URL
	Address = cmdline.Address
)

// typeText is a type for people.
func typeText(t cmdline.Type) string {
	switch t {
	case Bool:
		return "yes or no"
	case Flag:
		return "bare word"
	case Number:
		return "number"
	case Hash:
		return "sha256"
	case Form:
		return "own grammar"
	case List:
		return "comma list"
	case Path:
		return "path"
	case URL:
		return "URL"
	case Address:
		return "IP address"
	}
	return "text"
}

// Takes is the word's values in a few words.
func (d Def) Takes() string {
	s := typeText(d.Type)
	switch {
	case d.Type == Choice, d.Type == List && len(d.Choices) > 0:
		s = strings.Join(d.Choices, ", ")
	case d.Type == Number && d.Max > 0:
		s = fmt.Sprintf("number, %d to %d", d.Min, d.Max)
	case d.Type == Number && d.Min > 0:
		s = fmt.Sprintf("number from %d on", d.Min)
	}
	if d.Repeat {
		s += "; repeatable"
	}
	return s
}

// Section is a part of the table.
type Section struct {
	Title string
	Words []Def
}

// Sections is the table.
func Sections() []Section {
	return []Section{
		{"Root", rootWords}, {"Live images", liveWords}, {"Local storage", storageWords}, {"Network", netWords}, {"Network roots", netrootWords},
		{"Drivers", driverWords}, {"Life of the ramdisk", lifeWords}, {"bareroot's own", ownWords}, {"Boot loaders", loaderWords},
		{"metal-mdsquash", metalWords}, {"Ironic's agent and TripleO", ironicWords}, {"Foreman discovery", foremanWords},
		{"dracut's names of before 2011", oldWords}, {"For the kernel and the root's programs", elsewhereWords},
	}
}

// All is every word.
func All() []Def {
	var out []Def
	for _, s := range Sections() {
		out = append(out, s.Words...)
	}
	return out
}

// Find looks a key up. A word with "*" is found if no other matches; alias
// says that the key is another spelling, old that it is a deprecated one.
func Find(all []Def, key string) (d Def, alias, old, ok bool) {
	for _, d := range all {
		switch {
		case d.Name == key:
			return d, false, d.Instead != "", true
		case slices.Contains(d.Names(), key):
			return d, !slices.Contains(d.Also, key), slices.Contains(d.Old, key), true
		}
	}
	for _, d := range all {
		if p, any := strings.CutSuffix(d.Name, "*"); any && strings.HasPrefix(key, p) && len(key) > len(p) {
			return d, false, false, true
		}
	}
	return Def{}, false, false, false
}

// Rule is what package cmdline needs of a word.
func (d Def) Rule() cmdline.Rule {
	return cmdline.Rule{
		Name: d.Name, Aliases: d.Aliases, Old: d.Old, Type: d.Type, Min: d.Min, Max: d.Max, Choices: d.Choices, Default: d.Default,
		NotYet: d.Status == NotYet, Instead: d.Instead,
	}
}
