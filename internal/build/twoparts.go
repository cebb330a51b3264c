package build

import (
	"slices"

	"bareroot/internal/cpio"
)

// kindMain is the kind of the compressed part. It is the last one and so needs no
// padding, over which lz4's program stumbles.
const kindMain = "main"

// twoParts joins what is to be compressed in one segment, and what is compressed
// by itself in another before it, so that lsinitrd and unmkinitramfs, which know
// an early archive and one that is compressed, see all files.
func (r *recipe) twoParts(o *Options) {
	main := [][]item{r.pid1, r.userland, r.tools, r.config}
	if !o.NoKernel { // then the microcode, if any, is an archive of its own
		r.early = r.microcode
		if len(r.early) == 0 {
			r.early = []item{file("early_cpio", 0o644, "1", "marks the archive that comes before the other")}
		}
		r.microcode = nil
	}
	if !o.NoKernel && r.inside.name != "none" {
		r.early = append(r.early, r.agent...)
	} else {
		main = append(main, r.agent)
	}
	one := map[string]item{}
	for _, it := range slices.Concat(main...) {
		one[it.Path] = it // the kernel, too, lets the later one win
	}
	r.userland = nil
	for _, name := range sortedKeys(one) {
		r.userland = append(r.userland, one[name])
	}
	r.pid1, r.tools, r.agent, r.config = nil, nil, nil, nil
}

// without says what cannot be in and goes on, if that is wanted.
func (r *recipe) without(o *Options, err error) error {
	if err == nil || !o.GoOn || !IsInputError(err) {
		return err
	}
	r.leftOut = append(r.leftOut, err.Error()+"; it is left out")
	return nil
}

// distinct joins lists of items; of folders that are there twice the first stays.
func distinct(lists ...[]item) (out []item) {
	have := map[string]bool{}
	for _, it := range slices.Concat(lists...) {
		if it.Mode&cpio.TypeMask == cpio.TypeDir && have[it.Path] {
			continue
		}
		have[it.Path] = true
		out = append(out, it)
	}
	return out
}
