package main

import (
	"bytes"
	"strings"
	"testing"
)

const sampleReport = `+ bareroot failure
stage: initqueue
kernel: 6.1.0
failed: find root LABEL=x: not there within 30s
done: network: 10.0.0.5 on eth0
missing: the device of root=LABEL=x
try: blkid
+ command line, joined
root=LABEL=x ip=bogus:word:x rd.iscsi.password=***
+ cat /proc/cmdline
root=LABEL=y
+ dmesg
[    1.000000] e1000: Direct firmware load for abc.fw failed with error -2
[    2.000000] blk_update_request: I/O error, dev sda, sector 0
[    2.100000] blk_update_request: I/O error, dev sda, sector 8
`

const sampleDracut = `+ cat /lib/dracut/dracut-059
dracut-059
+ cat /proc/cmdline
BOOT_IMAGE=/vmlinuz root=UUID=1234 ro
+ cat /proc/self/mountinfo
1 1 0:1 / / rw - rootfs rootfs rw
+ dmesg
[  190.1] dracut-initqueue[300]: Warning: dracut-initqueue timeout - starting timeout scripts
[  191.1] dracut-initqueue[300]: Warning: /dev/disk/by-uuid/1234 does not exist
[  191.2] dracut-initqueue[300]: Warning: Could not boot.
`

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"ours": {sampleReport, []string{"A boot by a ramdisk of bareroot, kernel 6.1.0, failed in stage initqueue.", "  find root LABEL=x", "network: 10.0.0.5", "the device of root=LABEL=x",
			"  root=LABEL=x ip=bogus", "ip=bogus:word:x: ", "firmware file", "I/O error, dev sda, sector 0", "  blkid"}},
		"dracut's": {sampleDracut, []string{"ramdisk of dracut failed", "Could not boot.", "/dev/disk/by-uuid/1234 does not exist", "gave up waiting", "root=UUID=1234"}},
	} {
		r, ok := readReport(c.text)
		if !ok {
			t.Fatalf("%s: no report", name)
		}
		var out bytes.Buffer
		writeReport(&out, r)
		for _, w := range c.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: %q is missing in\n%s", name, w, &out)
			}
		}
		if strings.Contains(out.String(), "sector 8") {
			t.Errorf("%s: the same news twice\n%s", name, &out)
		}
	}
	if _, ok := readReport("hello\n+ world\nx\n"); ok {
		t.Error("any text is a report")
	}
}

func FuzzReport(f *testing.F) {
	f.Add(sampleReport)
	f.Add(sampleDracut)
	f.Fuzz(func(t *testing.T, s string) {
		if r, ok := readReport(s); ok {
			var out bytes.Buffer
			writeReport(&out, r)
			if strings.ContainsRune(out.String(), '\x1b') {
				t.Error("a control character reaches the terminal")
			}
		}
	})
}
