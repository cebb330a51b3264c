package hook

import (
	"maps"
	"os"
	"slices"
	"strings"

	"bareroot/internal/run/console"
)

// Get is a variable that a hook exported.
func (h *Hooks) Get(name string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.carry[name]
	return v, ok
}

// own are variables that belong to one hook and are not carried to the next.
var own = [...]string{"IFACE", "PWD", "OLDPWD", "SHLVL", "_", "PPID", "BAREROOT_STATE", "BAREROOT_STAGE", "hookdir"}

// keep takes over what a hook exported and had not got.
func (h *Hooks) keep(file string, had map[string]string) {
	b, err := os.ReadFile(file)
	if err != nil || len(b) == 0 {
		return // it was killed
	}
	got, err := ParseExports(string(b))
	if err != nil {
		h.Log.Warnf("variables of a hook: %v", err)
	}
	for _, kv := range console.Environment() {
		k, v, _ := strings.Cut(kv, "=")
		if got[k] == v {
			delete(got, k)
		}
	}
	for k, v := range got {
		if old, ok := had[k]; slices.Contains(own[:], k) || ok && old == v {
			continue
		}
		if h.carry == nil {
			h.carry = map[string]string{}
		}
		h.carry[k] = v
		h.Log.Debugf("a hook exports %s=%q", k, v)
	}
	if h.State == "" || len(h.carry) == 0 {
		return
	}
	var s strings.Builder
	for _, k := range slices.Sorted(maps.Keys(h.carry)) {
		s.WriteString("export " + k + "=" + Quote(h.carry[k]) + "\n")
	}
	if err := os.WriteFile(h.State, []byte(s.String()), 0o600); err != nil {
		h.Log.Warnf("keep the variables of hooks: %v", err)
	}
}
