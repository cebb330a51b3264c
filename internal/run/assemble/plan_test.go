package assemble

import (
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/device"
)

const (
	u1 = "11111111-2222-3333-4444-555555555555"
	u2 = "99999999-2222-3333-4444-555555555555"
)

func member(name, uuid string) *device.Block {
	return &device.Block{Name: name, Seq: "1", FS: "linux_raid_member", On: device.Content{FS: "linux_raid_member", UUID: uuid}}
}

func pv(name string) *device.Block { return &device.Block{Name: name, Seq: "1", FS: "LVM2_member"} }

func crypt(name, uuid string) *device.Block {
	return &device.Block{Name: name, Seq: "1", FS: "crypto_LUKS", UUID: uuid}
}

func pool(name string, dev, count int) *device.Block {
	return &device.Block{Name: name, Seq: "1", FS: "btrfs", UUID: u1, On: device.Content{FS: "btrfs", Dev: dev, Count: count}}
}

// told is what a line makes of a view: what would be run, what is missing,
// what is left.
func told(line string, files map[string]string, v View) []string {
	var out []string
	warn := func(text string) { out = append(out, "warning: "+text) }
	for _, a := range list(Config{Line: cmdline.Parse(line, "test").Canonical(), Has: func(p string) bool { return files["no "+p] == "" }, Read: func(p string) string { return files[p] }, Warn: warn}) {
		for _, s := range a.Plan(v) {
			switch {
			case s.Unlock != nil:
				k := ""
				for _, f := range s.Unlock.Keys {
					k += " key " + f.Path + " on " + f.Device
				}
				if u := s.Unlock; u.Plain {
					k += " plain"
				}
				if h := s.Unlock.Header; h.Path != "" {
					k += " header " + h.Path + " on " + h.Device
				}
				if s.Unlock.Script != "" {
					k += " script " + s.Unlock.Script + " " + s.Unlock.ScriptArg
				}
				out = append(out, strings.TrimSpace("open "+s.Unlock.Device+" "+s.Unlock.Name+" "+strings.Join(s.Unlock.Args, " "))+k)
			case s.Sets != nil:
				out = append(out, strings.TrimSpace("sets "+strings.Join(s.Sets.Names, " ")))
			case s.Btrfs != "":
				out = append(out, "scan "+s.Btrfs)
			default:
				argv := slices.DeleteFunc(slices.Clone(s.Argv), func(a string) bool {
					return strings.Contains(a, " ") || slices.Contains([]string{"--config", "--yes", "--ignorelockingfailure", "--ignoremonitoring", "--poll", "n", "-n", "-p", "--noudevsync", "--config=none", "--homehost=<ignore>"}, a)
				})
				out = append(out, strings.Join(argv, " "))
			}
		}
		for _, m := range a.Missing(v) {
			out = append(out, "missing: "+m)
		}
		for _, l := range a.Left(v) {
			out = append(out, "left: "+l)
		}
	}
	return out
}

func TestDecisions(t *testing.T) {
	needy := func(v View) View { v.Settled, v.Lacking = true, true; return v }
	half := []device.Array{{Name: "md127", State: "inactive", Members: []string{"vda"}, Disks: 2}}
	up := []device.Array{{Name: "md127", State: "clean", Level: "raid1", Members: []string{"vda", "vdb"}, Disks: 2}}
	for name, c := range map[string]struct {
		line  string
		files map[string]string
		view  View
		want  []string
	}{
		"nothing there": {line: "rd.auto"},
		"unnamed waits for a need": {view: View{Blocks: []*device.Block{member("vda", u1)}, Lacking: true},
			want: []string{"left: vda is a member of array " + u1 + ", which nothing names (rd.md.uuid, rd.auto)"}},
		"unnamed when needed":       {view: needy(View{Blocks: []*device.Block{member("vda", u1)}}), want: []string{"mdadm --incremental /dev/vda"}},
		"rd.auto does not wait":     {line: "rd.auto", view: View{Blocks: []*device.Block{member("vda", u1)}}, want: []string{"mdadm --incremental /dev/vda"}},
		"rd.auto=0 never":           {line: "rd.auto=0", view: needy(View{Blocks: []*device.Block{pv("vda")}}), want: []string{"left: vda: physical volumes, of which nothing is named (rd.lvm.vg, rd.lvm.lv, rd.auto)"}},
		"rd.md=0":                   {line: "rd.md=0 rd.md.uuid=" + u1, view: needy(View{Blocks: []*device.Block{member("vda", u1)}}), want: []string{"left: vda is a member of an array, but rd.md=0"}},
		"array by mdadm's spelling": {line: "rd.md.uuid=11111111:22223333:44445555:55555555", view: View{Blocks: []*device.Block{member("vda", u1), member("vdb", u2)}}, want: []string{"mdadm --incremental /dev/vda", "missing: array 11111111222233334444555555555555 (rd.md.uuid): members seen: vda, it is not started", "left: vdb is a member of array " + u2 + ", which rd.md.uuid does not name"}},
		"array without members":     {line: "rd.md.uuid=" + u1, want: []string{"missing: array 11111111222233334444555555555555 (rd.md.uuid): no member seen"}},
		"half an array, early": {line: "rd.md.uuid=" + u1, view: View{Blocks: []*device.Block{member("vda", u1)}, Arrays: half},
			want: []string{"mdadm --incremental /dev/vda", "missing: array 11111111222233334444555555555555 (rd.md.uuid): 1 of 2 members seen (vda), it is not started", "left: array md127 is not started, it has only vda"}},
		"half an array, late": {line: "rd.md.uuid=" + u1, view: View{Blocks: []*device.Block{member("vda", u1)}, Arrays: half, Late: true},
			want: []string{"mdadm --incremental /dev/vda", "mdadm --run /dev/md127", "missing: array 11111111222233334444555555555555 (rd.md.uuid): 1 of 2 members seen (vda), it is not started", "left: array md127 is not started, it has only vda"}},
		"array up": {line: "rd.md.uuid=" + u1, view: View{Blocks: []*device.Block{member("vda", u1), member("vdb", u1)}, Arrays: up, Late: true}, want: []string{"mdadm --incremental /dev/vda", "mdadm --incremental /dev/vdb"}},
		"no mdadm": {files: map[string]string{"no mdadm": "x"}, line: "rd.auto", view: View{Blocks: []*device.Block{member("vda", u1)}},
			want: []string{"left: vda is a member of an array, but this ramdisk has no mdadm; build it with --add-feature mdraid"}},
		"firmware's arrays": {line: "rd.auto rd.md.ddf=0", view: View{Blocks: []*device.Block{
			{Name: "sda", Seq: "1", FS: "isw_raid_member", On: device.Content{FS: "isw_raid_member"}}, {Name: "sdb", FS: "ddf_raid_member", On: device.Content{FS: "ddf_raid_member"}},
			{Name: "sda1", FS: "array_raid_member", On: device.Content{FS: "array_raid_member"}}},
			Arrays: []device.Array{{Name: "md127", State: "inactive", Level: "container", External: true, Members: []string{"sda"}}}},
			want: []string{"mdadm --incremental /dev/sda", "mdadm --incremental /dev/md127", "left: sdb is a member of an array of the firmware, which rd.md.imsm=0 or rd.md.ddf=0 leaves alone"}},
		"firmware's arrays, late": {line: "rd.auto", view: View{Late: true, Arrays: []device.Array{{Name: "md127", State: "inactive", Level: "container", External: true, Members: []string{"sda"}}}},
			want: []string{"mdadm --incremental /dev/md127", "mdadm --incremental --run /dev/md127"}},

		"volume by word": {line: "rd.lvm.lv=vg-a/root", view: View{Blocks: []*device.Block{pv("vda"), pv("vdb")}},
			want: []string{"lvm lvchange -ay --activationmode complete vg-a/root", "missing: volume vg-a/root (rd.lvm.lv): physical volumes seen: vda, vdb", "left: vda, vdb: physical volumes; only vg-a/root were asked for"}},
		"volume by root":    {view: View{Want: "/dev/mapper/vg--a-root", Blocks: []*device.Block{pv("vda")}}, want: []string{"lvm lvchange -ay --activationmode complete vg-a/root", "left: vda: physical volumes; only vg-a/root were asked for"}},
		"volume by path":    {view: View{Want: "/dev/vg-a/root", Blocks: []*device.Block{pv("vda")}, Late: true}, want: []string{"lvm lvchange -ay --activationmode degraded vg-a/root", "left: vda: physical volumes; only vg-a/root were asked for"}},
		"no volume":         {view: View{Want: "/dev/disk/by-label", Blocks: []*device.Block{pv("vda")}}, want: []string{"left: vda: physical volumes, of which nothing is named (rd.lvm.vg, rd.lvm.lv, rd.auto)"}},
		"volume group":      {line: "rd.lvm.vg=a rd.lvm.vg=b", view: View{Blocks: []*device.Block{pv("vda")}}, want: []string{"lvm vgchange -ay --activationmode complete a b", "left: vda: physical volumes; only a, b were asked for"}},
		"all volume groups": {view: needy(View{Blocks: []*device.Block{pv("vda")}}), want: []string{"lvm vgchange -ay --activationmode complete"}},
		"volume is there": {line: "rd.lvm.lv=a/b", view: View{Blocks: []*device.Block{pv("vda"), {Name: "dm-0"}}, Mapped: []device.Mapped{{Name: "dm-0", Title: "a-b", UUID: "LVM-x", Under: []string{"vda"}}}},
			want: []string{"left: vda: physical volumes; only a/b were asked for"}},
		"a path is no physical volume": {line: "rd.lvm.vg=a", view: View{Blocks: []*device.Block{pv("dm-0"), pv("sda")}, Mapped: []device.Mapped{{Name: "dm-0", Title: "mpatha", UUID: "mpath-x", Under: []string{"sda"}}}},
			want: []string{"lvm vgchange -ay --activationmode complete a", "left: dm-0: physical volumes; only a were asked for"}},

		"luks by word": {line: "rd.luks.uuid=luks-11111111 rd.luks.allow-discards rd.luks.key=/k:LABEL=keys rd.luks.options=tries=2,readonly", view: View{Blocks: []*device.Block{crypt("vda", u1), crypt("vdb", u2)}},
			want: []string{"open /dev/vda luks-" + u1 + " --readonly --allow-discards key /k on LABEL=keys", "missing: rd.luks.uuid=luks-11111111: vda is not open yet", "left: vda is encrypted and was not opened", "left: vdb is encrypted (rd.luks.uuid=" + u2 + " opens it)"}},
		"luks key for another": {line: "rd.luks.uuid=" + u1 + " rd.luks.key=/k:LABEL=keys:UUID=" + u2 + " rd.luks.key=" + u1 + "=/mine", view: View{Blocks: []*device.Block{crypt("vda", u1)}},
			want: []string{"open /dev/vda luks-" + u1 + " key /mine on ", "missing: rd.luks.uuid=" + u1 + ": vda is not open yet", "left: vda is encrypted and was not opened"}},
		"luks by name": {line: "rd.luks.name=" + u1 + "=secret", view: View{Blocks: []*device.Block{crypt("vda", u1)}},
			want: []string{"open /dev/vda secret", "missing: rd.luks.name=" + u1 + "=secret: vda is not open yet", "left: vda is encrypted and was not opened"}},
		"luks by root": {view: View{Want: "/dev/mapper/luks-" + u1, Blocks: []*device.Block{crypt("vda", u1)}}, want: []string{"open /dev/vda luks-" + u1, "left: vda is encrypted and was not opened"}},
		"luks is open": {line: "rd.luks.uuid=" + u1, view: View{Blocks: []*device.Block{crypt("vda", u1), {Name: "dm-0"}}, Mapped: []device.Mapped{{Name: "dm-0", Title: "luks-" + u1, UUID: "CRYPT-LUKS2-x", Under: []string{"vda"}}}}},
		"crypttab": {files: map[string]string{"/etc/crypttab": "# a comment\ndata UUID=" + u1 + " /key:LABEL=usb luks,discard,keyfile-offset=4\nold /dev/vdb - noauto\n"}, view: View{Blocks: []*device.Block{crypt("vda", u1), crypt("vdb", u2)}},
			want: []string{"open /dev/vda data --allow-discards key /key on LABEL=usb", "missing: crypttab: data: vda is not open yet", "left: vda is encrypted and was not opened", "left: vdb is encrypted (rd.luks.uuid=" + u2 + " opens it)"}},
		"rd.luks=0": {line: "rd.luks=0 rd.luks.uuid=" + u1, view: needy(View{Blocks: []*device.Block{crypt("vda", u1)}}), want: []string{"left: vda is encrypted, but rd.luks=0"}},

		"crypttab: plain, header elsewhere, key script, not here": {files: map[string]string{"/etc/crypttab": "bare /dev/vda /k plain,size=512,cipher=x\nfar\\040off /dev/vdb - header=/h:LABEL=hdr,size=512\n" +
			"said UUID=" + u1 + " an\\040arg keyscript=give\nswap /dev/vdd /dev/urandom swap\ntmp /dev/vdd /dev/urandom tmp=ext4,plain\n"}, view: View{Blocks: []*device.Block{{Name: "vda"}, {Name: "vdb"}, crypt("vdc", u1), {Name: "vdd"}}},
			want: []string{"open /dev/vda bare --key-size 512 --cipher x key /k on  plain", "open /dev/vdb far off header /h on LABEL=hdr", "open /dev/vdc said script give an arg",
				"missing: crypttab: bare: vda is not open yet", "missing: crypttab: far off: vdb is not open yet", "missing: crypttab: said: vdc is not open yet",
				"left: vda is encrypted and was not opened", "left: vdb is encrypted and was not opened", "left: vdc is encrypted and was not opened"}},
		"crypttab's device without a header on it is left": {files: map[string]string{"/etc/crypttab": "x /dev/vda - luks,nofail\n"}, view: View{Blocks: []*device.Block{{Name: "vda"}}}},
		"header elsewhere by words": {line: "rd.luks.name=" + u1 + "=root rd.luks.data=" + u1 + "=/dev/vda rd.luks.options=" + u1 + "=header=/h", view: View{Blocks: []*device.Block{{Name: "vda"}, crypt("vdb", u1)}},
			want: []string{"open /dev/vda root header /h on ", "missing: rd.luks.name=" + u1 + "=root: vda is not open yet", "left: vda is encrypted and was not opened", "left: vdb is encrypted (rd.luks.uuid=" + u1 + " opens it)"}},
		"words that say nothing":           {line: "rd.luks.data=1234=/dev/vda rd.luks.name=x", want: []string{"warning: rd.luks.data=1234=/dev/vda: the form is UUID=DEVICE, with the whole UUID; it is ignored", "warning: rd.luks.name=x: the form is UUID=NAME; it is ignored"}},
		"rd.luks.data alone":               {line: "rd.luks.data=" + u1 + "=/dev/vda", want: []string{"missing: rd.luks.data=" + u1 + "=/dev/vda: no such encrypted device seen"}},
		"luks by another name of the root": {view: needy(View{Want: "/dev/mapper/sda2_crypt", Blocks: []*device.Block{crypt("vda", u1)}}), want: []string{"open /dev/vda sda2_crypt", "left: vda is encrypted and was not opened"}},
		"which of two has that name nobody knows": {view: needy(View{Want: "/dev/mapper/sda2_crypt", Blocks: []*device.Block{crypt("vda", u1), crypt("vdb", u2)}}),
			want: []string{"open /dev/vda luks-" + u1, "open /dev/vdb luks-" + u2, "left: vda is encrypted and was not opened", "left: vdb is encrypted and was not opened"}},
		"a volume on luks": {view: needy(View{Want: "/dev/mapper/vg-root", Blocks: []*device.Block{crypt("vda", u1)}}), want: []string{"open /dev/vda luks-" + u1, "left: vda is encrypted and was not opened"}},
		"gpt-auto, encrypted": {view: View{Want: "gpt-auto", Auto: "vda2", Blocks: []*device.Block{crypt("vda2", u1), crypt("vdb2", u2)}},
			want: []string{"open /dev/vda2 root", "left: vda2 is encrypted and was not opened", "left: vdb2 is encrypted (rd.luks.uuid=" + u2 + " opens it)"}},

		"dmraid by name": {line: "rd.dm.uuid=isw_x rd_DM_UUID=nvidia_y", view: View{Settled: true, Blocks: []*device.Block{{Name: "sda"}, {Name: "sda1", Part: 1}}, Mapped: []device.Mapped{{Name: "dm-0", Title: "isw_x_Vol0", UUID: "DMRAID-isw_x_Vol0"}}},
			want: []string{"sets isw_x nvidia_y", "kpartx -a -part /dev/mapper/isw_x_Vol0", "missing: set isw_x (rd.dm.uuid): it is not active", "missing: set nvidia_y (rd.dm.uuid): it is not active"}},
		"dmraid waits for all disks": {line: "rd.dm.uuid=a", view: View{Blocks: []*device.Block{{Name: "sda"}}}, want: []string{"missing: set a (rd.dm.uuid): it is not active"}},
		"no dmraid":                  {files: map[string]string{"no dmraid": "x"}, line: "rd.dm.uuid=a", want: []string{"missing: set a (rd.dm.uuid): this ramdisk has no dmraid; build it with --add-feature dmraid"}},
		"rd.dm=0":                    {line: "rd.dm=0 rd.dm.uuid=a", view: View{Settled: true, Blocks: []*device.Block{{Name: "sda"}}}},
		"what mdadm may not take, dmraid does": {line: "rd.md.imsm=0", view: needy(View{Blocks: []*device.Block{{Name: "sda", FS: "isw_raid_member", On: device.Content{FS: "isw_raid_member"}}}}),
			want: []string{"left: sda is a member of an array of the firmware, which rd.md.imsm=0 or rd.md.ddf=0 leaves alone", "sets"}},
		"what mdadm takes, dmraid does not": {line: "rd.auto", view: needy(View{Blocks: []*device.Block{{Name: "sda", FS: "isw_raid_member", On: device.Content{FS: "isw_raid_member"}}}}),
			want: []string{"mdadm --incremental /dev/sda"}},

		"btrfs lacks a device": {view: View{Want: "UUID=" + u1, Found: "vda", Blocks: []*device.Block{pool("vda", 1, 3), pool("vdc", 3, 3)}},
			want: []string{"scan /dev/vda", "scan /dev/vdc", "missing: btrfs " + u1 + " has 3 devices, seen are device 1 on vda, device 3 on vdc; missing: device 2 (rootflags=degraded mounts it without)"}},
		"btrfs is complete":       {view: View{Want: "UUID=" + u1, Found: "vda", Blocks: []*device.Block{pool("vda", 1, 2), pool("vdb", 2, 2)}}, want: []string{"scan /dev/vda", "scan /dev/vdb"}},
		"btrfs of one needs none": {view: View{Want: "UUID=" + u1, Found: "vda", Blocks: []*device.Block{pool("vda", 1, 1)}}},
		"btrfs degraded, late":    {line: "rootflags=subvol=x,degraded", view: View{Want: "UUID=" + u1, Found: "vda", Blocks: []*device.Block{pool("vda", 1, 2)}, Late: true}, want: []string{"scan /dev/vda"}},

		"two paths": {line: "rd.multipath", view: View{Settled: true, Blocks: []*device.Block{{Name: "sda", Seq: "1", IDs: []string{"scsi-3x", "wwn-0x1"}}, {Name: "sdb", Seq: "2", IDs: []string{"wwn-0x1"}}, {Name: "sdc", IDs: []string{"wwn-0x2"}}}},
			want: []string{"multipath -i -v2 /dev/sdb", "missing: the paths sda, sdb to wwn-0x1 are not joined yet"}},
		"joined paths": {line: "rd.multipath", view: View{Settled: true, Blocks: []*device.Block{{Name: "sda", IDs: []string{"wwn-0x1"}}, {Name: "sdb", IDs: []string{"wwn-0x1"}}},
			Mapped: []device.Mapped{{Name: "dm-0", Title: "mpatha", UUID: "mpath-x", Under: []string{"sda", "sdb"}}}},
			want: []string{"multipath -i -v2 /dev/sdb", "kpartx -a -part /dev/mapper/mpatha"}},
		"paths may be missing":       {line: "rd.multipath", want: []string{"missing: all paths (rd.multipath)"}},
		"multipath is not asked for": {view: View{Blocks: []*device.Block{{Name: "sda", IDs: []string{"wwn-0x1"}}, {Name: "sdb", IDs: []string{"wwn-0x1"}}}}},
	} {
		if d := cmp.Diff(c.want, told(c.line, c.files, c.view)); d != "" {
			t.Errorf("%s (%s):\n%s", name, c.line, d)
		}
	}
}

func TestCryptOptions(t *testing.T) {
	for text, want := range map[string]cryptOptions{
		"":                                  {Tries: 5},
		"tries=0,timeout=2min,nofail":       {Timeout: 120, NoFail: true},
		"timeout=90,keyfile-timeout=1500ms": {Tries: 5, Timeout: 90, KeyWait: 2},
		"timeout=soon,tries=-1,fancy":       {Tries: 5, Unknown: []string{"timeout=soon", "tries=-1", "fancy"}},
		"size=256,plain":                    {Tries: 5, Plain: true, Args: []string{"--key-size", "256"}, plain: []string{"--key-size", "256"}},
		"headless,try-empty-password=no":    {Tries: 5, NoAsk: true},
		"luks,x-initrd.attach,_netdev":      {Tries: 5},
	} {
		if d := cmp.Diff(want, readOptions(splitOptions(text)), cmp.AllowUnexported(cryptOptions{})); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

// TestAutoRoot: which partition root=gpt-auto means.
func TestAutoRoot(t *testing.T) {
	kind := rootType(runtime.GOARCH)
	part := func(disk string, n int, kind, uuid string) *device.Block {
		return &device.Block{Name: disk + strconv.Itoa(n), Disk: disk, Part: n, PartType: kind, PartUUID: uuid}
	}
	never := part("sda", 1, kind, "")
	never.NoAuto = true
	two := []*device.Block{part("sda", 1, "esp", "aaaa"), part("sda", 3, kind, ""), part("sda", 2, kind, ""), part("sdb", 1, "esp", "bbbb"), part("sdb", 2, kind, "")}
	for name, c := range map[string]struct {
		blocks []*device.Block
		loader string
		want   string // name, or why not
	}{
		"nothing":                       {nil, "", "no partition of a root's type seen"},
		"the only disk, its first":      {two[:3], "", "sda2"},
		"of two":                        {two, "", "several disks have a root partition (sda, sdb) and the boot loader does not say which is meant"},
		"of two, by the loader":         {two, "BBBB", "sdb2"},
		"the loader's disk has none":    {two[:4], "bbbb", "no partition of a root's type on sdb, where the boot loader is"},
		"the loader's disk is not seen": {two, "cccc", "the boot loader's partition cccc is not seen"},
		"one that is only for its name": {[]*device.Block{never}, "", "no partition of a root's type seen"},
	} {
		b, why := autoRoot(c.blocks, c.loader)
		if b != nil {
			why = b.Name
		}
		if why != c.want {
			t.Errorf("%s: %s, want %s", name, why, c.want)
		}
	}
	if got := efiText("\a\x00\x00\x00A\x00-\x009\x00\x00\x00x"); got != "A-9" {
		t.Errorf("%q", got)
	}
}

func TestVolumeNames(t *testing.T) {
	for form, want := range map[string]string{
		"/dev/vg/lv": "vg lv", "/dev/mapper/vg-lv": "vg lv", "/dev/mapper/a--b-c--d": "a-b c-d", "/dev/mapper/luks": "", "/dev/sda": "", "/dev/md/root": "",
		"/dev/disk/by-label/x": "", "/dev/mapper/-": "", "LABEL=x": "", "/dev/nvme/x": "",
	} {
		vg, lv, ok := volume(form)
		if got := strings.TrimSpace(vg + " " + lv); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q %v", form, got, ok)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9_]([a-z0-9_-]{0,6}[a-z0-9_])?`)
		vg, lv := name.Draw(t, "vg"), name.Draw(t, "lv")
		gvg, glv, ok := volume("/dev/mapper/" + title(vg, lv))
		if !ok || gvg != vg || glv != lv {
			t.Fatalf("%s/%s came back as %s/%s", vg, lv, gvg, glv)
		}
	})
}

func TestMdadmConf(t *testing.T) {
	for conf, want := range map[string]bool{
		"": false, "HOMEHOST <system>\nMAILADDR root\n": false, "# ARRAY /dev/md0\n": false, "ARRAY /dev/md0 uuid=x": true, "arr /dev/md0": true,
		"DEVICE x\n ARRAY is a part of that line": false, "HOMEHOST mine": true, "AR": false,
	} {
		if got := hasArrays(conf); got != want {
			t.Errorf("%q: %v", conf, got)
		}
	}
}

func FuzzConf(f *testing.F) {
	f.Add("data UUID=x /key:LABEL=y luks,discard\nARRAY /dev/md0 uuid=a:b\n")
	f.Add("\t\n#\nx y - tries=,keyfile-size=9999999999999999999\n")
	f.Fuzz(func(t *testing.T, s string) {
		hasArrays(s)
		for _, e := range ParseCrypttab(s) {
			if e.Name == "" || e.Device == "" && !strings.Contains(s, `"`) || strings.HasPrefix(e.Name, "#") {
				t.Fatalf("%+v of %q", e, s)
			}
			if o := readOptions(e.Options); o.Tries < 0 || o.Timeout < 0 || o.Offset < 0 {
				t.Fatalf("%+v of %q", o, e.Options)
			}
			parseKey(e.Key)
		}
		efiText(s)
		hasTokens(strings.NewReader("LUKS\xba\xbe\x00\x02" + s))
	})
}
