package boot

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"
)

// memdebug logs the memory in use before a stage, as rd.memdebug= says.
func (b *Boot) memdebug(stage string) {
	level := b.line.Int(0, 0, 5, "rd.memdebug")
	if level == 0 {
		return
	}
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		b.log.Warnf("rd.memdebug: %v", err)
		return
	}
	slabs, _ := os.ReadFile("/proc/slabinfo") // not every kernel has it
	for _, l := range memoryLines(level, string(info), string(slabs)) {
		b.log.Infof("memory before %s: %s", stage, l)
	}
}

// memoryLines are the lines for a level of rd.memdebug=.
func memoryLines(level int, info, slabs string) []string {
	var out, few []string
	for line := range strings.Lines(info) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), ":")
		s := k + " " + strings.TrimSpace(v)
		if slices.Contains([]string{"MemTotal", "MemFree", "MemAvailable", "Cached", "Shmem", "Slab"}, k) {
			few = append(few, s)
		}
		if level > 1 {
			out = append(out, s)
		}
	}
	if level == 1 {
		return []string{strings.Join(few, ", ")}
	}
	if level < 3 {
		return out
	}
	return append(out, largestSlabs(slabs)...)
}

// largestSlabs are the ten caches that take most memory, of slabinfo(5): name,
// active objects, objects, size of one.
func largestSlabs(text string) []string {
	type slab struct {
		name string
		kib  int64
	}
	var all []slab
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		n, err := strconv.ParseInt(f[2], 10, 64)
		size, err2 := strconv.ParseInt(f[3], 10, 64)
		if err == nil && err2 == nil {
			all = append(all, slab{f[0], n * size >> 10})
		}
	}
	slices.SortStableFunc(all, func(a, b slab) int { return cmp.Compare(b.kib, a.kib) })
	var out []string
	for _, s := range all[:min(len(all), 10)] {
		out = append(out, "slab "+s.name+" "+strconv.FormatInt(s.kib, 10)+" kB")
	}
	return out
}
