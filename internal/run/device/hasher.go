package device

import (
	"slices"

	"bareroot/internal/sys"
)

// hashQuickly loads, before the first signed module, the processor's own form
// of the hash that signatures are over, if the ramdisk has it: the kernel hashes
// each module, with the form it has built in most of the time that loading takes.
func (m *Modules) hashQuickly(file, hash string) {
	if hash == "" {
		return
	}
	m.mu.Lock()
	first := m.hashed == nil
	if first {
		m.hashed = make(chan struct{})
		m.hashers = m.hasherFiles(hash)
	}
	hashed, own := m.hashed, slices.Contains(m.hashers, file)
	m.mu.Unlock()
	switch {
	case own: // by its name, what it needs before it
		if first {
			close(hashed)
		}
	case first:
		for _, f := range m.hashers {
			_ = m.one(f, "") // it works without
		}
		close(hashed)
	default:
		<-hashed
	}
}

// hasherFiles are the modules of a hash that are for this processor, with
// what they need.
func (m *Modules) hasherFiles(hash string) []string {
	names := m.allowed(m.index.Hashers(hash))
	if len(names) == 0 {
		return nil
	}
	cpu := sys.Line(m.cpu)
	if cpu == "" {
		return nil
	}
	here := m.index.Match(cpu)
	var files []string
	for _, n := range names {
		if slices.Contains(here, n) {
			f, _ := m.index.Closure(n) // none if it lacks something
			files = append(files, f...)
		}
	}
	return files
}
