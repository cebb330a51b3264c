package life

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestWatchdogs: each kind of watchdog that a machine may have is armed by init,
// taken over running by the root, which feeds it for longer than its time, and
// resets the machine when the root stops doing so.
func TestWatchdogs(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	const hangs = "\necho the root hangs; while :; do sleep 100; done"
	// Programs end so that a watchdog is switched off; nowayout forbids it.
	const gives = "\nprintf V >&3; exec 3>&-" + hangs
	chipset := []string{"-global", "ICH9-LPC.noreboot=false", "-action", "watchdog=reset"}
	for name, c := range map[string]struct {
		args              []string
		words, last, want string
	}{
		"chipset": {chipset, "", hangs, "iTCO_wdt"},
		"table":   {append([]string{"-acpitable", "sig=WDAT,rev=1,data=" + wdat(t)}, chipset...), "", hangs, "wdat_wdt"},
		"kernel":  {nil, "rd.driver.pre=softdog softdog.nowayout=1 rd.driver.blacklist=iTCO_wdt", gives, "Software Watchdog"},
	} {
		t.Run(name, func(t *testing.T) {
			disk := vmtest.MarkerRoot(t, 64<<20, `exec 3>/dev/watchdog0 || echo no watchdog here
for i in 1 2 3 4 5 6 7 8; do printf x >&3; sleep 3; done
echo "fed for 24 s"`+c.last)
			spec := vmtest.Direct(t, vmtest.Ramdisk(t, "--add-feature", "watchdog"), "root=/dev/vda bareroot.watchdog=8 "+c.words, qemu.Disk{Path: disk})
			spec.Args = c.args
			v := vmtest.Boot(t, spec)
			v.Expect(`watchdog: `+c.want+` resets the machine when it was not fed for \d+ s`, boundBoot)
			v.Expect(`fed for 24 s`, boundBoot)
			v.Expect(`the root hangs`, boundStep)
			v.Expect(`Linux version`, boundStep)
		})
	}
}

// wdat is an ACPI table by which the kernel drives the chipset's watchdog
// without knowing it, as servers have it (Microsoft's "Hardware Watchdog Timers
// Design Specification", 2006; registers of the ICH9's TCO).
func wdat(t *testing.T) string {
	t.Helper()
	const reload, control, timer = 0x660, 0x668, 0x672
	const read, readCount, write, writeCount, keep = 0, 1, 2, 3, 0x80
	type entry struct {
		Action, Instruction         uint8
		_                           uint16
		Space, Bits, Offset, Access uint8
		Address                     uint64
		Value, Mask                 uint32
	}
	io := func(action, instruction, offset uint8, address uint64, value, mask uint32) entry {
		return entry{Action: action, Instruction: instruction, Space: 1, Bits: 16, Offset: offset, Access: 2, Address: address, Value: value, Mask: mask}
	}
	entries := []entry{
		io(1, write, 0, reload, 1, 0x3ff), io(4, readCount, 0, reload, 0, 0x3ff), io(5, readCount, 0, timer, 0, 0x3ff), io(6, writeCount, 0, timer, 0, 0x3ff),
		io(8, read, 11, control, 0, 1), io(9, write|keep, 11, control, 0, 1), io(10, read, 11, control, 1, 1), io(11, write|keep, 11, control, 1, 1),
	}
	// The chipset resets nothing until a bit of its memory is cleared.
	entries = append(entries, entry{Action: 17, Instruction: write | keep, Bits: 32, Offset: 5, Access: 3, Address: 0xfed1f410, Value: 0, Mask: 1})
	header := struct {
		Length                uint32
		Segment               uint16
		Bus, Device, Function uint8
		_                     [3]uint8
		Period, Most, Least   uint32 // milliseconds, counts
		Flags                 uint8
		_                     [3]uint8
		Entries               uint32
	}{32, 0xff, 0xff, 0xff, 0xff, [3]uint8{}, 600, 0x3ff, 4, 1, [3]uint8{}, uint32(len(entries))}
	var b bytes.Buffer
	for _, part := range []any{header, entries} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	p := filepath.Join(t.TempDir(), "wdat")
	if err := os.WriteFile(p, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}
