package life

import (
	"testing"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// TestSurvive: whatever happens around it, PID 1 goes on: signals, orphans, a
// full /run, a program that takes all memory, a terminal asked for words.
func TestSurvive(t *testing.T) {
	t.Parallel()
	words := hook(t, "pre-mount", "10-signals.sh", `kill -TERM 1; kill -HUP 1; kill -INT 1; kill -USR1 1; kill -PIPE 1
for i in 1 2 3 4 5 6 7 8; do sh -c 'sleep 0.1 & exit' ; done
for i in $(seq 60); do
  sleep 1
  n=$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l)
  [ $n = 0 ] && break
done
echo "zombies: $n"
`)
	words = append(words, hook(t, "pre-mount", "20-hog.sh", "tail /dev/zero; echo \"the hog ended: $?\"\n")...)
	words = append(words, hook(t, "pre-mount", "30-full.sh", "cat /dev/zero >/run/full 2>/dev/null; echo \"left in /run: $(df /run | awk 'END {print $4}')\"\n")...)
	words = append(words, hook(t, "pre-pivot", "10-room.sh", "rm /run/full\n")...)
	disk := vmtest.MarkerRoot(t, 64<<20, "cat /proc/cmdline")
	spec := vmtest.Direct(t, vmtest.Ramdisk(t, words...), "rd.cmdline=ask quiet rd.info", qemu.Disk{Path: disk})
	spec.MemoryMiB = 448
	v := vmtest.Boot(t, spec)
	v.Expect(`more words for the kernel command line \(an empty line ends\): `, boundBoot)
	v.Send("root=/dev/vda\n")
	v.Expect(`more words for the kernel command line`, boundStep)
	v.Send("\n")
	v.Expect(`zombies: 0`, boundBoot)
	v.Expect(`Out of memory: Killed process \d+ \(tail\)`, boundBoot)
	v.Expect(`the hog ended: 137`, boundStep)
	v.Expect(`left in /run: 0`, boundStep)
	v.Expect(vmtest.Marker+` on /dev/vda`, boundStep)
	v.WaitPowerOff(boundStep)
}
