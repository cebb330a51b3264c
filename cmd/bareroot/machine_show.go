package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"bareroot/api"
	"bareroot/internal/human"
)

// writeMachine prints a machine for people.
func writeMachine(w io.Writer, m *api.Machine, now time.Time) {
	fmt.Fprintf(w, "%s: %s\n", machineName(m), clean(m.Status))
	for _, s := range m.Warnings {
		fmt.Fprintf(w, "  warning: %s\n", clean(s))
	}
	var f fields
	f.add("id", m.ID)
	f.add("uuid", m.UUID)
	f.add("mac", strings.Join(m.MACs, " "))
	f.add("approval", m.Approval)
	f.add("boots", m.Boot)
	f.add("boot set", m.BootSet)
	f.add("power", m.Power)
	f.add("firmware", m.Firmware)
	f.add("seen", strings.TrimSpace(ago(m.Seen, now)+atAddress(m.Address)))
	f.add("boot id", m.BootID)
	f.add("phase", m.Phase)
	if m.Failed {
		f.add("failure", m.Message)
	} else {
		f.add("message", m.Message)
	}
	f.write(w, "  ")
	if m.Facts != nil {
		writeFacts(w, m.Facts)
	}
	if m.Order != nil {
		fmt.Fprintln(w, "order")
		orderFields(m.Order, "").write(w, "  ")
	}
	if len(m.Timeline) > 0 {
		fmt.Fprintln(w, "timeline")
		writeTimeline(w, m.Timeline)
	}
}

func atAddress(a string) string {
	if a == "" {
		return ""
	}
	return " at " + a
}

func writeFacts(w io.Writer, x *api.Facts) {
	fmt.Fprintln(w, "hardware")
	var f fields
	f.add("system", strings.TrimSpace(x.System.Manufacturer+" "+x.System.Product))
	f.add("serial", x.System.Serial)
	f.add("bios", strings.TrimSpace(x.System.BIOSVersion+" "+secureBoot(x.System.SecureBoot)))
	if c := x.CPU; c != (api.CPU{}) {
		f.add("cpu", fmt.Sprintf("%s, %s, %s, %s, %s", c.Model, c.Arch, count(c.Sockets, "socket"), count(c.Cores, "core"), count(c.Threads, "thread")))
	}
	memory := human.Bytes(x.Memory.Usable) + " usable"
	if x.Memory.Installed > 0 {
		memory = human.Bytes(x.Memory.Installed) + " installed, " + memory
	}
	f.add("memory", memory)
	f.add("kernel", x.Kernel)
	f.write(w, "  ")

	fmt.Fprintln(w, "disks")
	if len(x.Disks) == 0 {
		fmt.Fprintln(w, "  none found")
	} else {
		t := newTable("PATH", "SIZE", "TYPE", "MODEL", "SERIAL", "ID", "CONTENT")
		for _, d := range x.Disks {
			content := strings.Join(d.Content, ", ")
			if content == "" {
				content = "empty"
			}
			t.add(d.Path, human.Bytes(d.Size), diskType(d), d.Model, d.Serial, d.ID, content)
		}
		t.write(w, "  ")
	}

	fmt.Fprintln(w, "network")
	if len(x.NICs) == 0 {
		fmt.Fprintln(w, "  none found")
		return
	}
	t := newTable("NAME", "MAC", "DRIVER", "LINK", "ADDRESSES", "BOOTED")
	for _, n := range x.NICs {
		t.add(n.Name, n.MAC, n.Driver, link(n), strings.Join(n.IPs, " "), mark(n.Booted))
	}
	t.write(w, "  ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func secureBoot(on bool) string {
	if on {
		return "(Secure Boot)"
	}
	return ""
}

func diskType(d api.Disk) string {
	words := []string{d.Transport}
	if d.Rotational {
		words = append(words, "rotating")
	}
	if d.Removable {
		words = append(words, "removable")
	}
	if d.ReadOnly {
		words = append(words, "read-only")
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

func link(n api.NIC) string {
	switch {
	case !n.Carrier:
		return "down"
	case n.Speed > 0:
		return fmt.Sprintf("up %d Mbit/s", n.Speed)
	}
	return "up"
}

func mark(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// writeTimeline prints each moment with the time since the one before.
func writeTimeline(w io.Writer, stamps []api.Stamp) {
	t := newTable("TIME", "AFTER", "WHAT", "NOTE")
	var before time.Time
	for _, s := range stamps {
		after := ""
		if !before.IsZero() {
			after = "+" + human.Duration(s.Time.Sub(before))
		}
		t.add(clock(s.Time), after, s.What, s.Note)
		before = s.Time
	}
	t.write(w, "  ")
}
