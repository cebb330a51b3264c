package cmdline

import "fmt"

// Refused is the error for a line that asks for a protection which this
// version does not give: a boot that went on would be one without it.
func Refused(l Line) error {
	if w, ok := l.Last("roothash", "usrhash"); ok && w.Value != "" {
		return fmt.Errorf("%s: the root shall be verified by dm-verity, which is not supported; leave the word out to boot without", w)
	}
	return nil
}
