package words

import (
	"encoding/json"
	"strings"
	"testing"

	"bareroot/internal/cmdline"
)

// explained is the report of a line with each word's state and problem.
func explained(s string) (Report, string) {
	r := Explain(cmdline.Parse(s, "test"), "root")
	var out []string
	for _, w := range r.Words {
		out = append(out, w.Word+"|"+w.State+"|"+w.Problem+"|"+w.Notice)
	}
	out = append(append(out, r.Errors...), r.Contradicts...)
	return r, strings.Join(out, "\n")
}

func TestExplain(t *testing.T) {
	for in, want := range map[string]string{
		"root=LABEL=x":                "root=LABEL=x|works||",
		"root=dhcp":                   "root=dhcp|works||",
		"rd.retry=ten":                `rd.retry=ten|malformed|rd.retry takes a number from 0 on; the default "180" is used|`,
		"metal.wipe-delay=120":        `|malformed|metal.wipe-delay takes a number from 2 to 60; the default "5" is used`,
		"metal.wipe-delay=1":          `|malformed|metal.wipe-delay takes a number from 2 to 60`,
		"rd.retry=010":                "rd.retry=010|works||read as 10; dracut takes a leading zero for octal",
		"rd.shell=maybe":              "counts as yes",
		"fsck.mode=never":             "fsck.mode takes one of auto, force, skip",
		"gateway=x ip=192.0.2.5":      "gateway takes an IP address",
		"metal.server=files/x":        "metal.server takes a URL",
		"rd.lvm.vl=x":                 "rd.lvm.vl=x|unknown|no such word; it is ignored; did you mean rd.lvm.vg or rd.lvm.lv?|",
		"rd.modules=x":                "did you mean rd.driver.pre or modules_load?",
		"bot=x":                       "did you mean boot?",
		"rd.Break":                    "did you mean rd.break?",
		"zzzzzz=1":                    "zzzzzz=1|unknown|no such word; it is ignored here, and the kernel's and the root's affair|",
		"rd.zzzzzzzz":                 "rd.zzzzzzzz|unknown|no such word; it is ignored|",
		"nvme.poll_queues=4":          "nvme.poll_queues=4|not ours||",
		"rd.live.dir=a rd.live.dir=b": "rd.live.dir=a|overridden|the later rd.live.dir=b wins|",
		"live_dir=a rd.live.dir=b":    "live_dir=a|overridden|the later rd.live.dir=b wins|live_dir is deprecated; write rd.live.dir=a",
		"rw ro":                       "rw|overridden|the later ro wins|",
		"rd.break=mount rd.break":     "rd.break=mount|works||",
		"rd_NO_LVM":                   "rd_NO_LVM is deprecated; write rd.lvm=0",
		"modprobe.blacklist=x":        "read as rd.driver.blacklist=x",
		"rd.luks=0 rd.luks.uuid=x":    "rd.luks=0 and rd.luks.uuid=x: no LUKS device is opened",
		"BOOTIF=nonsense":             "BOOTIF=nonsense|malformed|no MAC address",
		"vlan=eth0.5000:eth0":         "|malformed|eth0.5000 says no VLAN id",
		"bond=a:b:c:d:e":              "|malformed|the form is NAME",
		"rd.route=10.0.0.0/8":         "|malformed|the form is NET/LEN",
		"fcoe=eth0":                   "fcoe=eth0|malformed|the form is",
		"rd.luks.name=x":              "the form is UUID=NAME",
		"rd.znet=qeth,1":              "|malformed|qeth has 3 channels",
		"root=zfs:tank":               "ZFS is not supported",
		"root=cifs://u:geheim@srv":    "root=cifs://u:***@srv|malformed|the form is",
		"root=x nfsroot=/srv":         "unknown form",
		"root=LABEL=x nfsroot=/srv":   "goes with root=/dev/nfs",
		"ip=dhcp ip=eth1:dhcp":        "with several ip= each must name its interface",
		"root=dhcp bootdev=eth0 ip=192.0.2.5:192.0.2.9:192.0.2.1:24:h:eth0:none": "server address or dhcp for netboot needed",
		"ip=eth0:dhcp bootdev=eth1":            "bootdev=eth1: no ip= names this NIC",
		"netmask=24":                           "netmask=24|works||means something with ip=ADDRESS only",
		"bareroot.ip=klibc ip=1:2:3:4:5:6:7:8": "8 fields; there are 7 at most",
		"-- rd.retry=ten":                      "rd.retry=ten|works||",
		"rhgb findiso=":                        "rhgb|no effect||\nfindiso=|no effect||", // other words, not other spellings
		"rd.lvm.lv=root":                       "rd.lvm.lv=root|malformed|the form is VG/LV",
		"rd.lvm.vg==vg0":                       `two equals signs: the value is "=vg0"`,
		"boot=casper":                          `boot takes nfs, local or a block device; the scripts that other ramdisks have for "casper" are not here`,
		"boot=UUID=dead":                       "boot=UUID=dead|works||",
		"root=/dev/ram0":                       "no such device is made for a ramdisk of today",
		"root=nfs:h:/p":                        "root=nfs:h:/p|not yet||",
		"break=premount,x":                     `"x" is none of them`,
		"break rd.rescue":                      "break|works||\nrd.rescue|works||",
		"rd.emergency":                         "rd.emergency|works||",
		"rd.emergency=shell":                   "rd.emergency=shell|malformed|",
		"roothash=ab":                          "roothash=ab|malformed|the root shall be verified by dm-verity, which is not supported",
		"rd.luks=0 rd.luks.conf=0":             "rd.luks=0|works||",
		"ip=192.0.2.5/24":                      "an address with its mask is written ip=192.0.2.5::GATEWAY:24::INTERFACE:none",
		"ip=eth1:off":                          `client "eth1" is no address; after the name of an interface one of dhcp, on`,
		"vconsole.keymap=de":                   "vconsole.keymap=de|works||read as rd.vconsole.keymap=de",
		"module_blacklist=a":                   "read as rd.driver.blacklist=a",
		"copymods":                             "copymods is deprecated; write rd.driver.export",
		"panic=-1 rdinit=/x":                   "panic=-1|not ours||\nrdinit=/x|not ours||",
		"ipa-foo=1 systemd.unit=x":             "ipa-foo=1|no effect||\nsystemd.unit=x|not ours||",
	} {
		if _, got := explained(in); !strings.Contains(got, want) {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

// Of a meaning with a part for each value the right one is said.
func TestClause(t *testing.T) {
	for in, want := range map[string]string{
		"rd.md=0":                  "no array is assembled",
		"rd.md":                    "as by default (0: no array is assembled)",
		"rd.auto":                  "assemble every array, volume group and LUKS device that is found",
		"rd.auto=no":               "only what is named",
		"rd.shell":                 "a shell at once, also on a machine with a server",
		"rd.shell=0":               "no shell on failure",
		"metal.no-wipe=0":          "as by default (1: no disk is wiped or chosen; the arrays must exist)",
		"rd.neednet=0":             "not: bring the network up even if the root does not need it",
		"systemd.volatile=overlay": "what is written to the root goes to memory",
		"rd.luks.name=a=b":         "open the device under this name",
		"boot=nfs":                 "as root=/dev/nfs",
		"ip=ibft":                  "the NICs are configured as the firmware's iBFT says",
		"rootwait=30":              "seconds that the root device is waited for, unless rd.timeout says it",
		"rootwait":                 "nothing, as it is always waited for",
		"rd.break":                 "before the switch to the root",
		"rd.driver.export":         "a root without modules for the running kernel gets those of the ramdisk, in memory",
	} {
		r, _ := explained(in)
		if got := r.Words[0].Does; got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestSummary(t *testing.T) {
	for in, want := range map[string]Boot{
		"":                              {"discover", "none given", "not needed by this line; a ramdisk with a server brings it up all the same"},
		"root=LABEL=x rw":               {"discover", "block device LABEL=x, writable", "not needed by this line; a ramdisk with a server brings it up all the same"},
		"bareroot.role=rescue ip=dhcp":  {"rescue", "none given", "not needed by this line; a ramdisk with a server brings it up all the same"},
		"root=nfs:h:/p ip=eth0:dhcp":    {"discover", "NFS: server h, path /p, read-only", "brought up (the root is on it, a NIC is named): eth0 is configured by dhcp"},
		"root=LABEL=x netroot=nbd:h:1":  {"discover", "block device LABEL=x, on network block device: server h, port 1, read-only", "brought up (the root is on it): any wired NIC is configured by dhcp"},
		"rd.neednet root=zfs:x":         {"discover", "none that can be read", "brought up (rd.neednet): any wired NIC is configured by dhcp"},
		"ip=eth0:dhcp BOOTIF=nonsense1": {"discover", "none given", "not as the line says: BOOTIF=nonsense1: no MAC address; the form is 01-52-54-00-aa-bb-cc"},
	} {
		if got := Explain(cmdline.Parse(in, "t"), "discover").Boot; got != want {
			t.Errorf("%s\n got %+v\nwant %+v", in, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	for in, want := range map[string]int{"": 0, "a": 0, "ab": 0} {
		if got := distance(in, ""); got != len(in)-want {
			t.Errorf("%q: %d", in, got)
		}
	}
	for pair, want := range map[[2]string]int{{"vl", "lv"}: 1, {"abc", "abd"}: 1, {"abc", "ab"}: 1, {"abc", "xabc"}: 1, {"abc", "xyz"}: 3, {"same", "same"}: 0} {
		if got := distance(pair[0], pair[1]); got != want {
			t.Errorf("%v: %d", pair, got)
		}
	}
}

// FuzzExplain holds that no line breaks it, and that none shows a password.
func FuzzExplain(f *testing.F) {
	for _, s := range []string{"root=iscsi:u:geheim@h::::iqn.a:b ip=dhcp", "cifspass=geheim root=cifs://h/s", "root=http://u:geheim@h/x rd_NO_MD live_ram -- x", "ip vlan=a.1:b rd.znet=ctc,1,2 bareroot.ip=klibc", "nvme.a=1 rd.", "a.b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line := cmdline.Parse(s+" root=cifs://u:Gehe1mGehe1m@h/s netroot=iscsi:u:Gehe1mGehe1m@h cifspass=Gehe1mGehe1m", "fuzz")
		r := Explain(line, "root")
		if len(r.Words) != len(line) {
			t.Fatalf("%d words explained of %d", len(r.Words), len(line))
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(s, "Gehe1m") && !strings.Contains(s, `"`) && !strings.Contains(s, "--") && strings.Contains(string(text), "Gehe1mGehe1m") {
			t.Fatalf("%q shows a password: %s", s, text)
		}
	})
}
