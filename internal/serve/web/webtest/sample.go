package webtest

import (
	"strings"
	"time"

	"bareroot/api"
)

func ago(d time.Duration) time.Time { return Now.Add(-d) }

func sampleImages() []api.Image {
	return []api.Image{
		{Name: "debian12", SHA256: strings.Repeat("ab", 32), Size: 212 << 20, Format: "raw", Compression: "zstd", RawSize: 1536 << 20, Added: ago(time.Hour), Verified: ago(time.Hour)},
		{Name: "debian12-live", SHA256: strings.Repeat("cd", 32), Size: 180 << 20, Format: "squashfs", Added: ago(time.Hour), Verified: ago(40 * time.Minute)},
		{Name: "scratched", SHA256: strings.Repeat("ef", 32), Size: 5 << 20, Format: "raw", RawSize: 5 << 20, Added: ago(72 * time.Hour), Verified: ago(time.Minute), Problem: "the stored bytes have another hash: 9b1c..."},
	}
}

func sampleOrders() []api.OrderDetail {
	spec := &api.DeploySpec{
		Image:  api.Source{URL: "http://10.77.0.1:8080/images/" + strings.Repeat("ab", 32), SHA256: strings.Repeat("ab", 32), Size: 212 << 20, Format: "raw", Compression: "zstd", RawSize: 1536 << 20},
		Target: api.DiskHint{Serial: "DISK0001"},
	}
	plan := &api.Plan{Version: 1, Order: "o1", Hash: strings.Repeat("77", 32),
		Disks: []api.PlanDisk{
			{ID: "serial-DISK0001", Path: "/dev/vda", Size: 8 << 30, Action: "overwritten", Why: "serial is DISK0001, as ordered"},
			{ID: "serial-DISK0002", Path: "/dev/vdb", Size: 4 << 30, Found: []string{"gpt partition table", "ext4 on partition 1 (label data)"}, Action: "untouched", Why: "not named by the order"},
		},
		Steps: []api.PlanStep{
			{Op: "write-image", Disk: "serial-DISK0001", Detail: "write debian12 to /dev/vda", Bytes: 1536 << 20},
			{Op: "move-gpt-backup", Disk: "serial-DISK0001", Detail: "move the backup GPT header to the end of the disk"},
		}}
	running := api.OrderDetail{
		Order: api.Order{ID: "o1", Machine: "m1", Kind: api.KindDeploy, Deploy: spec, SpecHash: strings.Repeat("11", 32), State: api.StateRunning, Attempt: 2,
			Created: ago(9 * time.Minute), Updated: ago(time.Second), Message: "writing debian12 to /dev/vda",
			Progress: &api.Event{Kind: api.EventProgress, Phase: "write", Done: 630 << 20, Total: 1536 << 20, Rate: 48 << 20}},
		Plan: plan,
		Events: []api.Event{
			{Order: "o1", Attempt: 1, Seq: 1, Time: ago(8 * time.Minute), Kind: api.EventState, State: api.StateRunning, Message: "started"},
			{Order: "o1", Attempt: 1, Seq: 2, Time: ago(7 * time.Minute), Kind: api.EventState, State: api.StateFailed, Message: "power went away at 31%", Failed: true},
			{Order: "o1", Attempt: 2, Seq: 1, Time: ago(time.Minute), Kind: api.EventPlan, Message: "plan made: /dev/vda will be overwritten", Plan: plan},
			{Order: "o1", Attempt: 2, Seq: 2, Time: ago(50 * time.Second), Kind: api.EventState, State: api.StateRunning, Phase: "write"},
		},
	}
	done := api.OrderDetail{
		Order: api.Order{ID: "o2", Machine: "m2", Kind: api.KindDeploy, Deploy: spec, SpecHash: strings.Repeat("11", 32), State: api.StateDone, Attempt: 1,
			Created: ago(30 * time.Minute), Updated: ago(25 * time.Minute), Message: "deployed",
			Result: &api.Result{BytesRead: 212 << 20, BytesWritten: 700 << 20, ImageBytes: 1536 << 20, Disk: "serial-N2", Seconds: map[string]float64{"write": 31.4, "plan": 0.2, "sync": 1.1}}},
		Plan: plan,
	}
	failed := api.OrderDetail{
		Order: api.Order{ID: "o3", Machine: "m4", Kind: api.KindDeploy, Deploy: spec, SpecHash: strings.Repeat("11", 32), State: api.StateFailed, Attempt: 3,
			Created: ago(3 * time.Hour), Updated: ago(2 * time.Hour), Message: "two disks fit: /dev/sda and /dev/sdb; name one in the order"},
	}
	root := api.OrderDetail{
		Order: api.Order{ID: "o4", Machine: "m5", Kind: api.KindRoot, Root: &api.RootSpec{Words: []string{"root=live:http://10.77.0.1:8080/images/" + strings.Repeat("cd", 32)}}, SpecHash: strings.Repeat("22", 32), State: api.StateDone, Attempt: 1,
			Created: ago(20 * time.Minute), Updated: ago(19 * time.Minute), Message: "switched to the live root"},
	}
	return []api.OrderDetail{running, done, failed, root}
}

func sampleMachines(orders []api.OrderDetail) []api.Machine {
	facts := &api.Facts{
		Version:  1,
		System:   api.System{UUID: "6f1d0c2e-0001-4000-8000-000000000001", Manufacturer: "QEMU", Product: "Standard PC (Q35 + ICH9, 2009)", Serial: "lab-node1", BIOSVersion: "edk2 2022.11"},
		CPU:      api.CPU{Model: "QEMU Virtual CPU version 2.5+", Arch: "amd64", Sockets: 1, Cores: 2, Threads: 2},
		Memory:   api.Memory{Installed: 2 << 30, Usable: 2012 << 20},
		Firmware: "uefi", Kernel: "6.1.0-41-amd64",
		Disks: []api.Disk{
			{ID: "serial-DISK0001", Path: "/dev/vda", Size: 8 << 30, SectorSize: 512, Serial: "DISK0001", Transport: "virtio"},
			{ID: "serial-DISK0002", Path: "/dev/vdb", Size: 4 << 30, SectorSize: 512, Serial: "DISK0002", Transport: "virtio", Content: []string{"gpt partition table", "ext4 on partition 1 (label data)"}},
		},
		NICs: []api.NIC{
			{Name: "eth0", MAC: "52:54:00:aa:00:01", Driver: "virtio_net", Carrier: true, Booted: true, IPs: []string{"10.77.0.21/24"}},
			{Name: "eth1", MAC: "52:54:00:aa:01:01", Driver: "e1000e", Carrier: true, Speed: 1000},
		},
	}
	timeline := []api.Stamp{
		{Time: ago(9 * time.Minute), What: "netboot"}, {Time: ago(9*time.Minute - 4*time.Second), What: "kernel"},
		{Time: ago(9*time.Minute - 7*time.Second), What: "hello"}, {Time: ago(9*time.Minute - 8*time.Second), What: "discovered", Note: "2 disks, 2 NICs"},
		{Time: ago(2 * time.Minute), What: "netboot"}, {Time: ago(2*time.Minute - 3500*time.Millisecond), What: "kernel"},
		{Time: ago(2*time.Minute - 7*time.Second), What: "hello"}, {Time: ago(time.Minute), What: "order sent", Note: "deploy, attempt 2"},
	}
	return []api.Machine{
		{ID: "m1", Name: "node1", UUID: facts.System.UUID, MACs: []string{"52:54:00:aa:00:01", "52:54:00:aa:01:01"}, Approval: api.ApprovalApproved, Status: "deploying 41%", Boot: api.BootDiscover,
			Seen: ago(time.Second), BootID: "b-2", Phase: "write", Message: "writing debian12 to /dev/vda", Address: "10.77.0.21", Firmware: "uefi", Power: "on", Facts: facts, Timeline: timeline, Order: &orders[0].Order},
		{ID: "m2", Name: "node2", UUID: "6f1d0c2e-0001-4000-8000-000000000002", MACs: []string{"52:54:00:aa:00:02"}, Approval: api.ApprovalApproved, Status: "deployed", Boot: api.BootDisk,
			Seen: ago(25 * time.Minute), Phase: "disk", Message: "boots from its own disk", Firmware: "bios", Power: "on", Order: &orders[1].Order},
		{ID: "m3", Name: "52-54-00-aa-00-03", MACs: []string{"52:54:00:aa:00:03"}, Approval: api.ApprovalNew, Status: "new", Boot: api.BootDiscover,
			Seen: ago(12 * time.Second), Phase: "discovered", Message: "waiting for approval <b>now</b>", Firmware: "uefi", Warnings: []string{"a second exchange of the boot's nonce was refused"}},
		{ID: "m4", Name: "rack2-17", UUID: "6f1d0c2e-0001-4000-8000-000000000004", MACs: []string{"52:54:00:aa:00:04"}, Approval: api.ApprovalHeld, Status: "parked: three boots failed", Boot: api.BootDiscover,
			Seen: ago(2 * time.Hour), Phase: "deploy", Message: "two disks fit: /dev/sda and /dev/sdb; name one in the order", Failed: true, Firmware: "bios", Power: "off", Order: &orders[2].Order},
		{ID: "m5", Name: "live-desk", UUID: "6f1d0c2e-0001-4000-8000-000000000005", MACs: []string{"52:54:00:aa:00:05"}, Approval: api.ApprovalApproved, Status: "running root", Boot: api.BootRoot,
			Seen: ago(19 * time.Minute), Phase: "root", Message: "switched to the live root", Firmware: "uefi", Power: "on", Order: &orders[3].Order},
		{ID: "m6", Name: "spare", UUID: "6f1d0c2e-0001-4000-8000-000000000006", MACs: []string{"52:54:00:aa:00:06"}, Approval: api.ApprovalApproved, Status: "unseen", Power: "off"},
	}
}
