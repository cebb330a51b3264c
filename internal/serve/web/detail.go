package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"bareroot/api"
	"bareroot/internal/human"
)

// Bounds of what a page shows.
const (
	logBytes  = 64 << 10
	logLines  = 120
	maxOrders = 20
)

// detail is one machine.
type detail struct {
	Row                                     row
	CanApprove, CanHold, CanOrder, HasPower bool
	HasFacts                                bool
	Facts                                   []pair
	Timeline                                []stamp
	Orders                                  []orderRow
	Newest                                  *orderView
	Disks                                   []diskView
	NICs                                    []nicView
	Log                                     string
	Images                                  []imageChoice // for the form, outside the live part
	Error                                   string        // of the last order that was refused
}

type stamp struct {
	clock
	What, Note, After string
	First             bool // of a boot
}

type diskView struct {
	ID, Path, Size, Model, Kind string
	Content                     []string
}

type nicView struct {
	Name, MAC, Driver, Link string
	Booted                  bool
	IPs                     []string
}

func (s *Site) detail(ctx context.Context, id string) (*detail, error) {
	m, err := s.cfg.Inventory.Machine(ctx, id)
	if err != nil {
		return nil, err
	}
	d := &detail{
		Row:        s.row(m),
		CanApprove: m.Approval != api.ApprovalApproved,
		CanHold:    m.Approval == api.ApprovalApproved,
		CanOrder:   m.Approval == api.ApprovalApproved,
		HasPower:   s.cfg.Power != nil && m.Power != "",
		Facts:      s.machineFacts(m),
		Timeline:   s.timeline(m.Timeline),
	}
	if f := m.Facts; f != nil {
		d.HasFacts = true
		for _, k := range f.Disks {
			d.Disks = append(d.Disks, diskView{k.ID, k.Path, human.Bytes(k.Size), k.Model, k.Transport, k.Content})
		}
		for _, n := range f.NICs {
			d.NICs = append(d.NICs, nicView{n.Name, n.MAC, n.Driver, link(n), n.Booted, n.IPs})
		}
	}
	orders, err := s.cfg.Inventory.Orders(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	for _, o := range orders[:min(len(orders), maxOrders)] {
		d.Orders = append(d.Orders, s.orderRow(&o))
	}
	if len(orders) > 0 {
		if d.Newest, err = s.orderView(ctx, orders[0].ID); err != nil {
			return nil, err
		}
	}
	d.Log, err = s.logTail(ctx, m.ID)
	return d, err
}

func link(n api.NIC) string {
	switch {
	case !n.Carrier:
		return "no carrier"
	case n.Speed > 0:
		return fmt.Sprintf("%d Mbit/s", n.Speed)
	}
	return "up"
}

// machineFacts is what is known of m, in the order people look for it.
func (s *Site) machineFacts(m *api.Machine) []pair {
	var out []pair
	add := func(key, value string) {
		if value != "" {
			out = append(out, pair{key, value})
		}
	}
	add("Approval", m.Approval)
	boot := m.Boot
	if boot != "" {
		boot += ", " + cmp.Or(m.BootSet, "default boot set")
	}
	add("Boots next", boot)
	add("Power", m.Power)
	add("Address", m.Address)
	add("MAC addresses", strings.Join(m.MACs, ", "))
	add("UUID", m.UUID)
	if m.Facts == nil {
		add("Firmware", strings.ToUpper(m.Firmware))
		return out
	}
	f := m.Facts
	firmware := strings.ToUpper(cmp.Or(f.Firmware, m.Firmware))
	if f.System.BIOSVersion != "" {
		firmware += ", " + f.System.BIOSVersion
	}
	if f.System.SecureBoot {
		firmware += ", Secure Boot"
	}
	add("Firmware", firmware)
	add("Hardware", strings.TrimSpace(f.System.Manufacturer+" "+f.System.Product))
	add("Serial number", f.System.Serial)
	add("Processor", f.CPU.Model)
	if f.CPU.Threads > 0 {
		add("Cores", fmt.Sprintf("%s, %s, %s, %s", count(f.CPU.Sockets, "socket"), count(f.CPU.Cores, "core"), count(f.CPU.Threads, "thread"), f.CPU.Arch))
	}
	if f.Memory.Usable > 0 {
		mem := human.Bytes(f.Memory.Usable) + " usable"
		if f.Memory.Installed > 0 {
			mem = human.Bytes(f.Memory.Installed) + " installed, " + mem
		}
		add("Memory", mem)
	}
	add("Ramdisk kernel", f.Kernel)
	return out
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// timeline adds to each stamp the time since the one before it. A boot begins
// at its netboot; the time a machine was off is nobody's phase.
func (s *Site) timeline(list []api.Stamp) []stamp {
	var out []stamp
	for i, t := range list {
		v := stamp{clock: s.clock(t.Time), What: t.What, Note: t.Note}
		if t.What == "netboot" || i == 0 {
			v.First = i > 0
		} else {
			v.After = human.Duration(t.Time.Sub(list[i-1].Time).Round(10 * time.Millisecond))
		}
		out = append(out, v)
	}
	return out
}

// logTail is the end of the newest boot's log, "" if there is none.
func (s *Site) logTail(ctx context.Context, id string) (string, error) {
	rc, err := s.cfg.Inventory.Logs(ctx, id, "")
	if err != nil {
		var p *api.Problem
		if errors.As(err, &p) && p.Status == http.StatusNotFound {
			return "", nil
		}
		return "", err
	}
	defer rc.Close()
	b, err := tail(rc, logBytes)
	if err != nil {
		return "", fmt.Errorf("read boot log of %s: %w", id, err)
	}
	lines := strings.Split(strings.TrimRight(printable(string(b)), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-logLines):], "\n"), nil
}

// tail is the last n bytes of r.
func tail(r io.Reader, n int) ([]byte, error) {
	var keep []byte
	buf := make([]byte, 32<<10)
	for {
		k, err := r.Read(buf)
		keep = append(keep, buf[:k]...)
		if len(keep) > 4*n {
			keep = bytes.Clone(keep[len(keep)-n:])
		}
		if err == io.EOF {
			return keep[max(0, len(keep)-n):], nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// printable drops terminal control sequences and carriage returns of a
// console log.
func printable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == 0x1b && i+1 < len(s) && s[i+1] == '[': // CSI, ends at @..~; a cut-off one at what cannot be in it
			for i += 2; i < len(s) && s[i] >= 0x20 && s[i] < 0x40; i++ {
			}
			if i < len(s) && (s[i] < 0x20 || s[i] > 0x7e) {
				i--
			}
		case c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f):
			b.WriteByte(c)
		}
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

// seconds sorts an order's phases by their length, longest first.
func seconds(m map[string]float64) []pair {
	var out []pair
	names := pairs(m)
	slices.SortStableFunc(names, func(a, b pair) int { return cmp.Compare(m[b.Key], m[a.Key]) })
	for _, p := range names {
		out = append(out, pair{p.Key, human.Duration(time.Duration(m[p.Key] * float64(time.Second)))})
	}
	return out
}
