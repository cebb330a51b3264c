package cmdline

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Type says what values a word takes.
type Type string

// The types.
const (
	Bool   Type = "yes or no"
	Flag   Type = "bare word"
	Number Type = "number"
	Text   Type = "text"
	Choice Type = "one of"
	Hash   Type = "sha256"
	Form   Type = "own grammar"
)

// Def describes a word that bareroot-init knows.
type Def struct {
	Name    string
	Aliases []string // older names with the same meaning
	Type    Type
	Choices []string
	Default string
	Repeat  bool
	Stage   string // the stage that reads it
	Meaning string
}

// Stages of a boot, in order, by dracut's hook names.
var Stages = [...]string{"cmdline", "pre-udev", "pre-trigger", "initqueue", "pre-mount", "mount", "pre-pivot", "cleanup"}

// Words is every word that is implemented. docs/cmdline.md is generated from it.
func Words() []Def {
	return []Def{
		{Name: "root", Type: Form, Stage: "initqueue", Meaning: "the root: `/dev/NAME`, `LABEL=`, `UUID=`, `PARTUUID=`, `PARTLABEL=`, `live:http://...`, `live:https://...`, `live:` with a block device form"},
		{Name: "rootfstype", Type: Text, Default: "as found on the device", Stage: "mount", Meaning: "filesystem of a block root"},
		{Name: "rootflags", Type: Text, Stage: "mount", Meaning: "mount options of a block root"},
		{Name: "ro", Type: Flag, Stage: "mount", Meaning: "mount a block root read-only (the default); the later of ro and rw wins"},
		{Name: "rw", Type: Flag, Stage: "mount", Meaning: "mount a block root writable"},
		{Name: "bareroot.modules", Type: Choice, Choices: []string{"warn", "refuse", "ignore"}, Default: "warn", Stage: "pre-pivot", Meaning: "what a root without modules for the running kernel means; warn and refuse say which kernels the root has modules for"},
		{Name: "init", Type: Text, Default: "/sbin/init, /etc/init, /bin/init, /bin/sh", Stage: "cleanup", Meaning: "program of the root that becomes PID 1; what follows `--` goes to it as arguments"},
		{Name: "bareroot.live.sha256", Type: Hash, Stage: "initqueue", Meaning: "sha256 of the image of `root=live:URL`, as downloaded; required unless bareroot.live.insecure"},
		{Name: "bareroot.live.size", Type: Number, Stage: "initqueue", Meaning: "bytes of that image, checked, and compared with the memory before the download starts"},
		{Name: "bareroot.live.insecure", Type: Bool, Default: "0", Stage: "initqueue", Meaning: "believe a live image without sha256"},
		{Name: "rd.live.dir", Aliases: []string{"live_dir"}, Type: Text, Default: "LiveOS", Stage: "mount", Meaning: "directory of a live medium that holds the image"},
		{Name: "rd.live.squashimg", Type: Text, Default: "squashfs.img", Stage: "mount", Meaning: "image file in that directory"},
		{Name: "rd.minmem", Type: Number, Default: "256", Stage: "initqueue", Meaning: "MiB of memory that must remain beside a live image (dracut: 1024)"},

		{Name: "ip", Type: Form, Repeat: true, Stage: "initqueue", Meaning: "`ip=METHOD`, `ip=IF:METHOD[:MTU[:MAC]]` or `ip=CLIENT:PEER:GW:MASK:HOST:IF:METHOD[:DNS1[:DNS2]|:MTU[:MAC]]`; methods dhcp, on, any, single-dhcp, none, off are carried out; see docs/init.md"},
		{Name: "BOOTIF", Type: Form, Stage: "initqueue", Meaning: "MAC of the NIC that netbooted, as pxelinux and iPXE write it: `01-52-54-00-aa-bb-cc`"},
		{Name: "rd.bootif", Type: Bool, Default: "1", Stage: "initqueue", Meaning: "0: BOOTIF is ignored"},
		{Name: "rd.neednet", Type: Bool, Default: "0", Stage: "initqueue", Meaning: "bring the network up even if the root does not need it"},
		{Name: "bootdev", Type: Text, Stage: "initqueue", Meaning: "the NIC, of several with ip=, that the boot depends on"},
		{Name: "nameserver", Type: Form, Repeat: true, Stage: "initqueue", Meaning: "name server, before those of DHCP"},
		{Name: "rd.peerdns", Type: Bool, Default: "1", Stage: "initqueue", Meaning: "0: name servers of DHCP are ignored"},
		{Name: "rd.route", Type: Form, Repeat: true, Stage: "initqueue", Meaning: "static route `NET/LEN:[GW][:IF]`"},
		{Name: "rd.net.timeout.carrier", Type: Number, Default: "10", Stage: "initqueue", Meaning: "seconds a NIC may take to find its carrier before the boot says so; DHCP starts whenever the carrier comes"},
		{Name: "rd.retry", Type: Number, Default: "180", Stage: "initqueue", Meaning: "seconds after which a wait for network, server or device has failed"},

		{Name: "rd.driver.pre", Aliases: []string{"rdloaddriver"}, Type: Text, Repeat: true, Stage: "pre-udev", Meaning: "modules (comma list) loaded before devices are probed"},
		{Name: "rd.driver.blacklist", Aliases: []string{"rdblacklist", "modprobe.blacklist"}, Type: Text, Repeat: true, Stage: "pre-udev", Meaning: "modules (comma list) that devices do not load"},
		{Name: "rd.driver.post", Aliases: []string{"rdinsmodpost"}, Type: Text, Repeat: true, Stage: "initqueue", Meaning: "modules (comma list) loaded after all others"},

		{Name: "fips", Type: Form, Stage: "pre-trigger", Meaning: "`fips=1`, on the kernel's own command line: the ciphers are tested before anything uses them, and the kernel's image is checked against its .hmac file; the ramdisk needs the feature fips"},
		{Name: "boot", Type: Form, Stage: "initqueue", Meaning: "with fips=1: the device of /boot, as `/dev/NAME`, `LABEL=`, `UUID=`, `PARTUUID=`, `PARTLABEL=`; without it /boot of the root is looked at"},
		{Name: "BOOT_IMAGE", Type: Text, Default: "vmlinuz-VERSION", Stage: "initqueue", Meaning: "with fips=1: the kernel's file on /boot; boot loaders add it"},
		{Name: "rd.fips.skipkernel", Type: Bool, Default: "0", Stage: "initqueue", Meaning: "with fips=1: the kernel's image is not checked"},

		{Name: "rd.break", Type: Choice, Choices: Stages[:], Repeat: true, Stage: "any", Meaning: "open a shell before that stage; bare: before the switch to the root"},
		{Name: "rd.shell", Type: Bool, Default: "1", Stage: "any", Meaning: "0: no shell on failure; given as 1: a shell at once, also on a machine with a server"},
		{Name: "rd.emergency", Type: Choice, Choices: []string{"reboot", "poweroff", "halt"}, Default: "reboot", Stage: "any", Meaning: "what follows a failure when no shell is opened, or when it ends"},
		{Name: "bareroot.emergency.delay", Type: Number, Default: "60", Stage: "any", Meaning: "seconds before that action; a key on the console opens a shell instead unless rd.shell=0"},
		{Name: "rd.ctty", Type: Text, Default: "the last active console", Stage: "any", Meaning: "terminal of the shell"},
		{Name: "rd.debug", Aliases: []string{"rdinitdebug"}, Type: Bool, Default: "0", Stage: "any", Meaning: "more lines on the console; they are always in the log"},
		{Name: "quiet", Type: Flag, Stage: "any", Meaning: "only warnings and failures on the console"},
		{Name: "bareroot.role", Type: Choice, Choices: []string{"root", "discover", "deploy", "rescue"}, Default: "the ramdisk's configuration, else root", Stage: "cmdline", Meaning: "what this boot is there to do"},
	}
}

// Check compares a line with the table. Each message names a word and the
// rule that it breaks; what the word then means is said by the reader's
// default, as in dracut.
func Check(l Line) []string {
	var out []string
	for _, d := range Words() {
		for _, w := range l {
			if w.Key != d.Name && !slices.Contains(d.Aliases, w.Key) {
				continue
			}
			if rule := d.broken(w); rule != "" {
				out = append(out, fmt.Sprintf("%s: %q: %s", w.Source, w, rule))
			}
		}
	}
	return out
}

func (d Def) broken(w Word) string {
	switch d.Type {
	case Bool:
		if !w.Bare && !slices.Contains([]string{"0", "1", "yes", "no", "on", "off", ""}, w.Value) {
			return fmt.Sprintf("%s takes 0, 1, yes, no, on or off; this counts as yes", d.Name)
		}
	case Flag:
		if !w.Bare {
			return d.Name + " is a bare word"
		}
	case Number:
		if n, err := strconv.ParseInt(w.Value, 10, 64); err != nil || n < 0 || w.Value[0] == '+' {
			return fmt.Sprintf("%s takes a number from 0 on; the default %q is used", d.Name, d.Default)
		}
	case Choice:
		if !(w.Bare && d.Name == "rd.break") && !slices.Contains(d.Choices, w.Value) {
			return fmt.Sprintf("%s takes one of %s", d.Name, strings.Join(d.Choices, ", "))
		}
	case Hash:
		if !IsSHA256(w.Value) {
			return d.Name + " takes 64 hexadecimal digits"
		}
	}
	return ""
}

// IsSHA256 says whether s is a sha256 in hexadecimal digits.
func IsSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range s {
		if !strings.ContainsRune("0123456789abcdefABCDEF", c) {
			return false
		}
	}
	return true
}

// List joins the comma lists of all words with one of the keys.
func (l Line) List(keys ...string) []string {
	var out []string
	for _, w := range l {
		if !slices.Contains(keys, w.Key) {
			continue
		}
		for _, v := range strings.Split(w.Value, ",") {
			if v != "" {
				out = append(out, v)
			}
		}
	}
	return out
}

// Break says whether rd.break asks for a shell before the stage. The bare
// word stands for "switch-root".
func (l Line) Break(stage string) bool {
	for _, w := range l.All("rd.break") {
		if w.Value == stage || ((w.Bare || w.Value == "") && stage == "switch-root") {
			return true
		}
	}
	return false
}

// InitArgs are the arguments for the root's init: what follows "--", and
// else the words that classic inits know.
func (l Line) InitArgs() []string {
	var out []string
	after := false
	for _, w := range l {
		switch {
		case after:
			out = append(out, w.String())
		case w.Bare && w.Key == "--":
			after = true
		case w.Bare && slices.Contains([]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "s", "S", "single", "emergency", "auto"}, w.Key):
			out = append(out, w.Key)
		}
	}
	return out
}

// Root is a parsed root=.
type Root struct {
	Kind   string // "block", "live", "live-block"
	Device string // block: "/dev/x", "LABEL=x", ...
	URL    string // live
}

// ParseRoot reads a value of root=. An unknown form is an error that lists
// the known ones.
func ParseRoot(v string) (Root, error) {
	if block, ok := blockForm(strings.TrimPrefix(v, "block:")); ok {
		return Root{Kind: "block", Device: block}, nil
	}
	rest, live := strings.CutPrefix(v, "live:")
	if strings.HasPrefix(v, "http://") || strings.HasPrefix(v, "https://") {
		rest, live = v, true
	}
	if live {
		if block, ok := blockForm(strings.Replace(rest, "CDLABEL=", "LABEL=", 1)); ok {
			return Root{Kind: "live-block", Device: block}, nil
		}
		u, err := url.Parse(rest)
		if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
			return Root{Kind: "live", URL: rest}, nil
		}
	}
	return Root{}, fmt.Errorf("root=%s: unknown form; known are /dev/NAME, LABEL=, UUID=, PARTUUID=, PARTLABEL=, live:http://HOST/PATH, live:https://HOST/PATH, live:LABEL= and the like", v)
}

func blockForm(v string) (string, bool) {
	for _, p := range []string{"LABEL=", "UUID=", "PARTUUID=", "PARTLABEL="} {
		if rest, ok := strings.CutPrefix(v, p); ok {
			return v, rest != ""
		}
	}
	return v, strings.HasPrefix(v, "/dev/") && len(v) > len("/dev/") && v != "/dev/nfs"
}

// Network says whether the root is fetched over the network.
func (r Root) Network() bool { return r.Kind == "live" }

func (r Root) String() string {
	switch r.Kind {
	case "live":
		return "live:" + r.URL
	case "live-block":
		return "live:" + r.Device
	}
	return r.Device
}
