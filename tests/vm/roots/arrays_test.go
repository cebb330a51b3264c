package roots

import (
	"testing"
	"time"

	"bareroot/tests/vm/vmtest"
)

// TestArrays: firmware RAID of Intel's kind, the oldest superblock, an array
// that is still being synchronised, and the words that leave some alone.
func TestArrays(t *testing.T) {
	vmtest.AllOnly(t)
	d := makeDisks(t, "imsm1 imsm2", "old1 old2", "sync1 sync2", "ddf1 ddf2")
	t.Run("all at once", func(t *testing.T) {
		v := start(t, "root=LABEL=imsmroot rd.auto rd.md.waitclean IMSM_NO_PLATFORM=1", pick(d, "imsm1 imsm2 old1 old2 sync1 sync2")...)
		v.Expect(`waiting until md\d+ is synchronised \(rd.md.waitclean\)`, boot)
		v.Expect(vmtest.Marker+` on /dev/md\d+ ext4`, boot)
		v.WaitPowerOff(time.Minute)
		expectAll(t, v, `MORE md\d+ external:/md\d+/0 idle`, `MORE md\d+ 0.90 idle`, `MORE md\d+ 1.2 idle`)
	})
	t.Run("the oldest superblock, not named", func(t *testing.T) {
		v := start(t, "root=LABEL=oldroot", pick(d, "old1 old2")...)
		v.Expect(vmtest.Marker+` on /dev/md\d+ ext4`, boot)
		v.WaitPowerOff(time.Minute)
	})
	t.Run("named, without a member", func(t *testing.T) {
		v := start(t, "root=LABEL=oldroot bareroot.degraded=5 rd.md.uuid="+oldUUID, d["old2"], d["sync1"])
		v.Expect(vmtest.Marker+` on /dev/md\d+ ext4`, boot)
		v.Expect(`STACK md\d+ raid1 1 on sd`, time.Minute)
		v.WaitPowerOff(time.Minute)
		if n := len(all(v, `STACK md`)); n != 1 {
			t.Errorf("%d arrays were started, only one is named", n)
		}
	})
	t.Run("Intel's and DDF's, each without a disk", func(t *testing.T) {
		v := start(t, "root=LABEL=imsmroot rd.auto bareroot.degraded=5 rd.retry=40 IMSM_NO_PLATFORM=1"+off, d["imsm2"], d["ddf2"])
		v.Expect(vmtest.Marker+` on /dev/md\d+ ext4`, boot)
		v.WaitPowerOff(time.Minute)
		expectAll(t, v, `STACK md\d+ raid1 1 on sd`)
	})
	t.Run("by dmraid", func(t *testing.T) {
		v := vmtest.Boot(t, vmtest.Direct(t, vmtest.Ramdisk(t, "--add-feature", "mdraid dmraid"), "root=LABEL=imsmroot rd.md.imsm=0 rd.dm.uuid=isw_ rd.retry=60"+off, pick(d, "imsm1 imsm2")...))
		v.Expect(`activate set isw_\S+`, boot)
		v.Expect(vmtest.Marker+` on /dev/mapper/isw_\S+ ext4`, boot)
		v.WaitPowerOff(time.Minute)
		expectAll(t, v, `MORE dm-\d+ DMRAID-isw_\S+`)
	})
	t.Run("not Intel's, not DDF", func(t *testing.T) {
		v := start(t, "root=LABEL=imsmroot rd.md.imsm=0 rd.md.ddf=0 rd.retry=9"+off, pick(d, "imsm1 imsm2 ddf1 ddf2")...)
		v.Expect(`FAILED: .*sd. is a member of an array of the firmware, which rd.md.imsm=0 or rd.md.ddf=0 leaves alone.*vd. is a member of an array of the firmware`, boot)
		v.WaitPowerOff(time.Minute)
	})
}

// TestVolumes: a cached volume, and one that is a RAID of LVM's own, whole and
// without one of its disks.
func TestVolumes(t *testing.T) {
	vmtest.AllOnly(t)
	d := makeDisks(t, "fast1 fast2", "leg1 leg2")
	t.Run("cached and mirrored", func(t *testing.T) {
		v := start(t, "root=LABEL=cacheroot rd.lvm.lv=fast/root rd.lvm.lv=legs/root", pick(d, "fast1 fast2 leg1 leg2")...)
		v.Expect(vmtest.Marker+` on /dev/mapper/fast-root ext4`, boot)
		v.WaitPowerOff(time.Minute)
		expectAll(t, v, `STACK dm-\d+ fast-root on dm-\d+ dm-\d+ dm-\d+`, `STACK dm-\d+ legs-root on dm-\d+ dm-\d+ dm-\d+ dm-\d+`)
	})
	t.Run("mirrored, without a disk", func(t *testing.T) {
		v := start(t, "root=LABEL=legsroot bareroot.degraded=5", d["leg2"])
		v.Expect(vmtest.Marker+` on /dev/mapper/legs-root ext4`, boot)
		v.WaitPowerOff(time.Minute)
	})
	t.Run("a cache is not left out", func(t *testing.T) {
		v := start(t, "root=/dev/fast/root bareroot.degraded=5 rd.retry=12"+off, d["fast1"])
		v.Expect(`FAILED: .*not there within 12s: /dev/fast/root.*the last program that failed: lvm .*fast`, boot)
		v.WaitPowerOff(time.Minute)
	})
}
