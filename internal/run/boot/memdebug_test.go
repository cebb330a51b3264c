package boot

import (
	"strings"
	"testing"
)

func TestMemoryLines(t *testing.T) {
	const info = "MemTotal:        1000 kB\nMemFree:          500 kB\nDirty:             1 kB\n"
	const slabs = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize>\nsmall 1 2 1024 x\nlarge 10 20 1024 x\n"
	for level, want := range map[int]string{
		1: "MemTotal 1000 kB, MemFree 500 kB",
		2: "MemTotal 1000 kB|MemFree 500 kB|Dirty 1 kB",
		5: "MemTotal 1000 kB|MemFree 500 kB|Dirty 1 kB|slab large 20 kB|slab small 2 kB",
	} {
		if got := strings.Join(memoryLines(level, info, slabs), "|"); got != want {
			t.Errorf("level %d: %s, want %s", level, got, want)
		}
	}
	if got := memoryLines(3, "", ""); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
}
