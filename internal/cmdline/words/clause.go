package words

import (
	"fmt"
	"strings"

	"bareroot/internal/cmdline"
)

// clause is that part of a meaning which is about the word's value. In the
// table the parts stand as "VALUE: what it does", separated by "; "; a grammar
// in backquotes may precede all.
func clause(d Def, w cmdline.Word) string {
	text := d.Meaning
	if d.Type == Form && strings.HasPrefix(text, "`") {
		if _, rest, ok := strings.Cut(text, "`: "); ok {
			text = rest
		}
	}
	text = strings.ReplaceAll(text, "`", "")
	parts := map[string]string{}
	for _, c := range strings.Split(text, "; ") {
		if value, what, ok := strings.Cut(strings.TrimPrefix(c, "given as "), ": "); ok && !strings.Contains(value, " ") {
			parts[value] = what
		}
	}
	value := w.Value
	if w.Bare && parts["bare"] == "" {
		value = "1"
	} else if w.Bare {
		value = "bare"
	}
	if d.Type == Bool {
		value = "0"
		if (cmdline.Line{w}).Bool(false, w.Key) {
			value = "1"
		}
	}
	switch what, ok := parts[value]; {
	case ok:
		return what
	case d.Type != Bool:
		return strings.TrimSuffix(text, "; bare: "+parts["bare"])
	case len(parts) > 0:
		return fmt.Sprintf("as by default (%s)", text)
	case value == "0":
		return "not: " + text
	}
	return text
}
