package cmdline_test

import (
	"fmt"
	"slices"
	"strings"

	"bareroot/internal/cmdline/words"
)

// markdown is the table as docs/cmdline.md.
func markdown() string {
	var b strings.Builder
	b.WriteString(`# Words of the kernel command line

<!-- Generated: go test ./internal/cmdline -update -->

Every word that a ramdisk may meet, and what becomes of it. ` + "`bareroot cmdline explain 'WORDS...'`" + ` says it of a whole
line; ` + "`bareroot cmdline list`" + ` prints this table. How sources are joined is in
[init.md](init.md), what ` + "`ip=`" + ` takes in [network.md](network.md). Status:

- works: carried out by this version
- not yet: read and checked, named on the console, not carried out
- no effect: accepted, and meaningless here for the reason given
- not ours: for the kernel, or for programs of the root

An unknown word is ignored; a malformed known one is named on the console with its rule. Of several words with one
name the last counts, unless the word is repeatable. An *old* spelling is deprecated; that of a yes-or-no word
means yes whatever follows it. Yes or no: 0, no and off are no, everything else is yes.
`)
	for _, s := range words.Sections() {
		fmt.Fprintf(&b, "\n## %s\n\n| Word | Takes | Default | Stage | Status | From | Meaning |\n|---|---|---|---|---|---|---|\n", s.Title)
		for _, d := range s.Words {
			name := "`" + d.Name + "`"
			for _, a := range slices.Concat(d.Aliases, d.Also) {
				name += " `" + a + "`"
			}
			for _, a := range d.Old {
				name += " *old* `" + a + "`"
			}
			meaning := d.Meaning
			switch {
			case d.Instead != "":
				meaning = "old: write `" + d.Instead + "`"
			case d.Why != "":
				meaning += " (" + d.Why + ")"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, d.Takes(), d.Default, d.Stage, d.Status.Text(), d.From, strings.ReplaceAll(meaning, "|", "\\|"))
		}
	}
	b.WriteString("\n## Forms of root=\n\n| Root | Forms | Status |\n|---|---|---|\n")
	for _, k := range words.RootKinds() {
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", k.Name, strings.Join(k.Forms, "` `"), k.Status.Text())
	}
	b.WriteString("\nzfs: is refused, with what to do instead; so are fstab and tmpfs. `netroot=` takes the forms on the network.\n")
	return b.String()
}
