package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
)

var update = flag.Bool("update", false, "rewrite golden files and docs/cli.md")

// golden compares got with testdata/golden/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s is not what is printed; after a look, run with -update:\n%s", path, d)
	}
}

func exampleMachine(now time.Time) *api.Machine {
	at := func(s float64) time.Time { return now.Add(time.Duration((s - 200) * float64(time.Second))) }
	return &api.Machine{
		ID: "m1", Name: "alpha", UUID: "8a4b7c1e-0000-4000-8000-525400000001", MACs: []string{"52:54:00:00:00:01"},
		Approval: api.ApprovalApproved, Status: "deployed", Boot: api.BootDisk, Seen: at(20), BootID: "b-alpha",
		Phase: "reboot", Message: "rebooting into the\x1b[31m disk", Address: "192.0.2.10", Firmware: "uefi", Power: "on",
		Warnings: []string{"the nonce of boot b-alpha was offered twice, the second time from 192.0.2.66"},
		Facts: &api.Facts{
			Version: 1,
			System:  api.System{Manufacturer: "QEMU", Product: "Standard PC (Q35)", BIOSVersion: "2022.11", SecureBoot: true},
			CPU:     api.CPU{Model: "QEMU Virtual CPU", Arch: "amd64", Sockets: 1, Cores: 2, Threads: 2},
			Memory:  api.Memory{Installed: 2 << 30, Usable: 1950 << 20},
			Disks: []api.Disk{
				{ID: "serial-A1", Path: "/dev/vda", Size: 10 << 30, SectorSize: 512, Serial: "A1", Transport: "virtio"},
				{ID: "serial-B2", Path: "/dev/sda", Size: 8e12, SectorSize: 4096, Serial: "B2", Model: "ST8000", Transport: "sata", Rotational: true, Content: []string{"gpt partition table", "ext4 on partition 1 (label data)"}},
			},
			NICs: []api.NIC{
				{Name: "eth0", MAC: "52:54:00:00:00:01", Driver: "virtio_net", Carrier: true, Booted: true, IPs: []string{"192.0.2.10/24"}},
				{Name: "eth1", MAC: "52:54:00:00:00:03", Driver: "igb", Speed: 1000},
			},
			Firmware: "uefi", Kernel: "6.1.0-40-amd64",
		},
		Order: &api.Order{
			ID: "o1", Machine: "m1", Kind: api.KindDeploy, State: api.StateDone, Attempt: 1, Created: at(1), Updated: at(19), Message: "all is well",
			Deploy: &api.DeploySpec{Image: api.Source{SHA256: strings.Repeat("ab", 32), Size: 300 << 20, Format: "raw", Compression: "zstd"}, Target: api.DiskHint{Serial: "A1", MinSize: 4 << 30}, Erase: true},
			Result: &api.Result{Disk: "serial-A1", BytesRead: 300 << 20, BytesWritten: 900 << 20, ImageBytes: 2 << 30, Seconds: map[string]float64{"write": 12.34, "check": 0.5}},
		},
		Timeline: []api.Stamp{
			{Time: at(0), What: "netboot", Note: "ipxe, uefi"}, {Time: at(2.5), What: "hello"}, {Time: at(3), What: "order sent", Note: "o1"}, {Time: at(19), What: "deployed"},
		},
	}
}

func examplePlan() *api.Plan {
	return &api.Plan{
		Version: 1, Order: "o1", Hash: strings.Repeat("9f", 32),
		Disks: []api.PlanDisk{
			{ID: "serial-A1", Path: "/dev/vda", Size: 10 << 30, Action: "overwritten", Why: "serial A1"},
			{ID: "serial-B2", Path: "/dev/sda", Size: 8e12, Found: []string{"gpt partition table"}, Action: "untouched", Why: "another serial"},
		},
		Steps: []api.PlanStep{
			{Op: "write-image", Disk: "serial-A1", Detail: "raw.zstd from the server", Bytes: 2 << 30},
			{Op: "move-gpt-backup", Disk: "serial-A1", Detail: "to the last sector"},
		},
	}
}

func TestPrint(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.Local)
	fake := newFakeServer(now)
	machine := exampleMachine(now)
	var machines []api.Machine
	for _, m := range fake.machines {
		machines = append(machines, *m)
	}
	bare := &api.Machine{ID: "m9", MACs: []string{"52:54:00:00:00:09"}, Status: "parked: 3 boots without success", Failed: true, Message: "no lease on eth0", Facts: &api.Facts{}}
	running := *machine.Order
	running.ID, running.State, running.Result = "o2", api.StateRunning, nil
	running.Progress = &api.Event{Done: 41, Total: 100}
	detail := &api.OrderDetail{Order: *machine.Order, Plan: examplePlan(), Events: []api.Event{
		{Attempt: 1, Time: now.Add(-3 * time.Minute), Kind: api.EventState, State: api.StateRunning},
		{Attempt: 1, Time: now.Add(-2 * time.Minute), Kind: api.EventNote, Phase: "download", Failed: true, Message: "connection reset, going on at 12 MiB"},
		{Attempt: 1, Time: now.Add(-time.Minute), Kind: api.EventState, State: api.StateDone, Message: "all is well"},
	}}
	tests := map[string]func(io.Writer){
		"machines": func(w io.Writer) { writeMachines(w, machines, now) },
		"machines-long": func(w io.Writer) {
			m := machines[0]
			m.Status = "failed: download image debian: its hash is wrong: got 104857600 bytes (sha256 " + strings.Repeat("ab", 32) + ")"
			writeMachines(w, []api.Machine{m}, now)
		},
		"machines-none": func(w io.Writer) { writeMachines(w, nil, now) },
		"machine":       func(w io.Writer) { writeMachine(w, machine, now) },
		"machine-bare":  func(w io.Writer) { writeMachine(w, bare, now) },
		"orders": func(w io.Writer) {
			writeOrders(w, []api.Order{*machine.Order, running}, map[string]string{"m1": "alpha"}, now)
		},
		"orders-none":    func(w io.Writer) { writeOrders(w, nil, nil, now) },
		"order":          func(w io.Writer) { writeOrder(w, detail, "alpha") },
		"images":         func(w io.Writer) { writeImages(w, fake.images, now) },
		"images-none":    func(w io.Writer) { writeImages(w, nil, now) },
		"boot-sets":      func(w io.Writer) { writeBootSets(w, fake.bootsets, now) },
		"boot-sets-none": func(w io.Writer) { writeBootSets(w, nil, now) },
	}
	for name, write := range tests {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			write(&b)
			golden(t, name+".txt", b.String())
			if strings.ContainsRune(b.String(), '\x1b') {
				t.Error("an escape of the machine's reaches the terminal")
			}
		})
	}
}

func TestLineProgress(t *testing.T) {
	var b bytes.Buffer
	now := time.Unix(0, 0)
	p := &lineProgress{w: &b, name: "order o1", every: 5 * time.Second, now: func() time.Time { return now }}
	running := func(phase string, done int64) *api.Order {
		return &api.Order{State: api.StateRunning, Attempt: 1, Progress: &api.Event{Phase: phase, Done: done << 20, Total: 1000 << 20, Rate: 50 << 20}}
	}
	p.show(&api.Order{State: api.StateQueued})
	p.show(&api.Order{State: api.StateQueued})
	p.show(&api.Order{State: api.StateSent, Attempt: 1})
	p.show(running("write", 100))
	now = now.Add(time.Second)
	p.show(running("write", 200)) // too soon
	now = now.Add(4 * time.Second)
	p.show(running("write", 400))
	p.show(running("verify", 10))
	p.note("a note")
	p.show(&api.Order{State: api.StateSent, Attempt: 2, Message: "power came back"})
	p.show(&api.Order{State: api.StateDone, Attempt: 2, Message: "all is well"})
	p.close()
	golden(t, "progress.txt", b.String())
}

func TestBarProgress(t *testing.T) {
	var b bytes.Buffer
	lines := &lineProgress{w: &b, name: "order o1", every: time.Second, now: time.Now}
	p := &barProgress{lines: lines, w: &b, name: "order o1"}
	o := &api.Order{State: api.StateRunning, Progress: &api.Event{Phase: "wri\x1b[2Jte", Done: 50, Total: 100, Rate: 10}}
	p.show(o)
	o.Progress = &api.Event{Phase: "verify", Done: 10, Total: 100, Rate: 10}
	p.show(o)
	p.show(&api.Order{State: api.StateFailed, Message: "no"})
	p.close()
	for _, want := range []string{"order o1: wri?[2Jte", "order o1: verify", "order o1: failed: no", "10% of 100 B, 10 B/s, 9.00 s left"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %q", want, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b[2J") {
		t.Errorf("an escape of the machine's reaches the terminal: %q", b.String())
	}
}

func TestSplitWords(t *testing.T) {
	tests := map[string]struct {
		give string
		want []string
		ok   bool
	}{
		"plain":          {give: " root=live:http://x  ro ", want: []string{"root=live:http://x", "ro"}, ok: true},
		"quoted":         {give: `a="b c" d`, want: []string{`a="b c"`, "d"}, ok: true},
		"tab and line":   {give: "a\tb\nc", want: []string{"a", "b", "c"}, ok: true},
		"none":           {give: "  "},
		"open quote":     {give: `a="b`},
		"a control byte": {give: "a\x00b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := splitWords(tt.give)
			if (err == nil) != tt.ok {
				t.Fatalf("error %v, want ok %v", err, tt.ok)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPlainWriter(t *testing.T) {
	var b bytes.Buffer
	give := "a\x1b[31mb\r\n\tc\a"
	if n, err := (&plainWriter{&b}).Write([]byte(give)); n != len(give) || err != nil {
		t.Fatal(n, err)
	}
	if got, want := b.String(), "a[31mb\n\tc"; got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

func FuzzSplitWords(f *testing.F) {
	for _, s := range []string{"", " a b", `a="b c" d`, `"`, "a\tb\"\"c", "ä\u00a0b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words, err := splitWords(s)
		if err != nil {
			return
		}
		again, err := splitWords(strings.Join(words, " "))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(words, again); d != "" {
			t.Error(d)
		}
	})
}

// TestSilence: while nothing is heard, no rate is shown that nobody knows.
func TestSilence(t *testing.T) {
	var h hearing
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	p := &api.Event{Seq: 1, Done: 1 << 20, Total: 3 << 20, Rate: 1 << 20}
	for _, step := range []struct {
		after time.Duration
		done  int64
		want  string
	}{
		{0, 1 << 20, "1.0 MiB/s, 2.00 s left"},
		{9 * time.Second, 1 << 20, "1.0 MiB/s, 2.00 s left"},
		{2 * time.Second, 1 << 20, "nothing heard for 11.0 s"},
		{time.Second, 2 << 20, "1.0 MiB/s, 1.00 s left"},
	} {
		now = now.Add(step.after)
		p.Done = step.done
		if got := h.pace(p, now); got != step.want {
			t.Errorf("%v: %q, want %q", now, got, step.want)
		}
	}
}
