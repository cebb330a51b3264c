// Package facts gathers the hardware inventory of this machine from /sys,
// /proc and SMBIOS, and looks at what is on its disks. It changes nothing and
// starts no program. What a kernel does not tell is left out: facts are what
// was seen, and never fail as a whole.
package facts

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"

	"bareroot/api"
	"bareroot/internal/disk"
)

// Gatherer reads a machine. Root is "/" on a real one; tests point it at a
// synthetic tree.
type Gatherer struct {
	Root    string
	BootMAC string // of the NIC that netbooted, lower case, may be empty
	// Content looks at a disk; nil = disk.Content below Root.
	Content func(path string, size int64) ([]string, []byte, *disk.Mark, error)
}

// Gather reads everything.
func (g *Gatherer) Gather(ctx context.Context) (api.Facts, error) {
	f := api.Facts{Version: 1, Kernel: g.read("/proc/sys/kernel/osrelease"), Firmware: "bios", Disks: []api.Disk{}, NICs: []api.NIC{}}
	if _, err := os.Stat(g.path("/sys/firmware/efi")); err == nil {
		f.Firmware = "uefi"
	}
	f.System = g.system()
	f.CPU = g.cpu()
	f.Memory = g.memory()
	disks, err := g.Disks(ctx)
	if err != nil {
		return f, err
	}
	for _, d := range disks {
		f.Disks = append(f.Disks, d.Disk)
	}
	f.NICs = g.nics()
	f.PCI = g.pci()
	return f, nil
}

func (g *Gatherer) path(p string) string { return filepath.Join("/", g.Root, p) }

// read is a small file's text without surrounding space, "" if there is none.
func (g *Gatherer) read(p string) string {
	b, err := os.ReadFile(g.path(p))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ToValidUTF8(strings.Trim(string(b), "\x00"), "?"))
}

func (g *Gatherer) number(p string) int64 {
	n, _ := strconv.ParseInt(g.read(p), 10, 64)
	return n
}

// list is the names in a directory, sorted.
func (g *Gatherer) list(p string) []string {
	es, err := os.ReadDir(g.path(p))
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range es {
		out = append(out, e.Name())
	}
	sort.Strings(out)
	return out
}

// link is the base name of what a symbolic link points to.
func (g *Gatherer) link(p string) string {
	t, err := os.Readlink(g.path(p))
	if err != nil {
		return ""
	}
	return filepath.Base(t)
}

func (g *Gatherer) cpu() api.CPU {
	c := api.CPU{Arch: runtime.GOARCH}
	sockets, cores := map[string]bool{}, map[string]bool{}
	var socket string
	for line := range strings.Lines(g.read("/proc/cpuinfo")) {
		k, v, _ := strings.Cut(line, ":")
		k, v = strings.TrimSpace(k), strings.TrimSpace(v)
		switch k {
		case "processor":
			c.Threads++
			socket = ""
		case "model name":
			c.Model = v
		case "physical id":
			socket = v
			sockets[v] = true
		case "core id":
			cores[socket+"/"+v] = true
		}
	}
	// arm64 has no such lines: every processor is a core.
	c.Sockets, c.Cores = max(1, len(sockets)), len(cores)
	if c.Cores == 0 {
		c.Cores = c.Threads
	}
	return c
}

func (g *Gatherer) memory() api.Memory {
	var m api.Memory
	for line := range strings.Lines(g.read("/proc/meminfo")) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			m.Usable = kb << 10
		}
	}
	m.Installed = g.installed()
	return m
}

func (g *Gatherer) pci() []string {
	var out []string
	const base = "/sys/bus/pci/devices/"
	for _, d := range g.list(base) {
		hex := func(f string) string { return strings.TrimPrefix(g.read(base+d+"/"+f), "0x") }
		s := fmt.Sprintf("%s %s:%s class %s", d, hex("vendor"), hex("device"), hex("class"))
		if drv := g.link(base + d + "/driver"); drv != "" {
			s += " driver " + drv
		}
		out = append(out, s)
	}
	return out
}
