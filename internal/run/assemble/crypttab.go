package assemble

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bareroot/internal/sys"
)

// Entry is a line of crypttab(5): the device Name is made of Device.
type Entry struct {
	Name, Device string
	Key          string // path, "" for a passphrase; a key script's argument
	Options      []string
}

// ParseCrypttab reads a crypttab of Debian's or of systemd's. A line with
// fewer than two fields is none.
func ParseCrypttab(text string) []Entry {
	var out []Entry
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		e := Entry{Name: sys.Unescape(f[0]), Device: sys.Unescape(strings.ReplaceAll(f[1], `"`, ""))}
		if len(f) > 2 && f[2] != "-" && f[2] != "none" {
			e.Key = sys.Unescape(f[2])
		}
		if len(f) > 3 {
			for _, o := range splitOptions(f[3]) {
				e.Options = append(e.Options, sys.Unescape(o))
			}
		}
		out = append(out, e)
	}
	return out
}

func splitOptions(s string) []string {
	var out []string
	for _, o := range strings.Split(s, ",") {
		if o != "" {
			out = append(out, o)
		}
	}
	return out
}

// KeyFile is where a key or a header comes from.
type KeyFile struct {
	Path   string // in the ramdisk, or on Device
	Device string // UUID=..., LABEL=..., /dev/...; "" is the ramdisk
	Offset int64
	Size   int64
}

// parseKey reads PATH[:DEVICE], DEVICE in any spelling.
func parseKey(s string) KeyFile {
	path, dev, _ := strings.Cut(s, ":")
	return KeyFile{Path: path, Device: dev}
}

// cryptOptions are what crypttab's options say.
type cryptOptions struct {
	Args    []string // cryptsetup's
	Plain   bool     // no LUKS: the key is all there is
	Header  string   // PATH[:DEVICE] of a detached header
	Script  string   // program whose output is the key
	Offset  int64    // of the key in its file
	Size    int64
	Tries   int // 0: any number
	Timeout int // seconds for the passphrase, 0 for ever
	KeyWait int // seconds for the device of a key file, 0: as the command line says
	NoFail  bool
	NoAuto  bool
	NoAsk   bool
	Empty   bool     // an empty passphrase is tried first
	NotHere bool     // made anew at each boot (swap, tmp): the root's own business
	Unknown []string // not carried out
	plain   []string // cryptsetup's, for plain only
}

// seconds reads a time span: a number of seconds, or with a unit.
func seconds(v string) (int, error) {
	if n, err := strconv.Atoi(v); err == nil && n >= 0 {
		return n, nil
	}
	d, err := time.ParseDuration(strings.NewReplacer("min", "m", "sec", "s", " ", "").Replace(v))
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no time: write seconds, or 90s, 2min, 1h", v)
	}
	return int(d.Round(time.Second).Seconds()), nil
}

// yes reads the value of an option that by its name alone is set.
func yes(v string) bool { return v != "no" && v != "false" && v != "0" }

// plainArgs are options that only plain devices have, and the argument each is.
var plainArgs = map[string]string{"cipher": "--cipher", "size": "--key-size", "hash": "--hash", "offset": "--offset", "skip": "--skip", "sector-size": "--sector-size"}

// ignored are options that mean nothing in a ramdisk, or describe what is on
// the device itself.
var ignored = []string{"luks", "x-initrd.attach", "initramfs", "_netdev", "x-systemd.device-timeout", "password-echo", "password-cache", "token-timeout", "tpm2-device",
	"tpm2-pcrs", "fido2-device", "pkcs11-uri", "loud", "quiet", "check", "checkargs", "noearly", "verify"}

func readOptions(opts []string) cryptOptions {
	o := cryptOptions{Tries: tries}
	for _, opt := range opts {
		k, v, _ := strings.Cut(opt, "=")
		number := func(to *int64) {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n < 0 {
				o.Unknown = append(o.Unknown, opt)
				return
			}
			*to = n
		}
		span := func(to *int) {
			n, err := seconds(v)
			if err != nil {
				o.Unknown = append(o.Unknown, opt)
				return
			}
			*to = n
		}
		switch k {
		case "discard", "allow-discards":
			o.Args = append(o.Args, "--allow-discards")
		case "read-only", "readonly":
			o.Args = append(o.Args, "--readonly")
		case "no-read-workqueue":
			o.Args = append(o.Args, "--perf-no_read_workqueue")
		case "no-write-workqueue":
			o.Args = append(o.Args, "--perf-no_write_workqueue")
		case "same-cpu-crypt":
			o.Args = append(o.Args, "--perf-same_cpu_crypt")
		case "submit-from-crypt-cpus":
			o.Args = append(o.Args, "--perf-submit_from_crypt_cpus")
		case "key-slot", "keyslot":
			o.Args = append(o.Args, "--key-slot", v)
		case "cipher", "size", "hash", "offset", "skip", "sector-size":
			o.plain = append(o.plain, plainArgs[k], v)
		case "plain":
			o.Plain = true
		case "header":
			o.Header = v
		case "keyscript":
			o.Script = v
		case "keyfile-offset":
			number(&o.Offset)
		case "keyfile-size":
			number(&o.Size)
		case "keyfile-timeout":
			span(&o.KeyWait)
		case "tries":
			n := int64(tries)
			number(&n)
			o.Tries = int(min(n, 1<<20))
		case "timeout":
			span(&o.Timeout)
		case "nofail":
			o.NoFail = true
		case "noauto":
			o.NoAuto = true
		case "swap", "tmp":
			o.NotHere = true
		case "headless":
			o.NoAsk = yes(v)
		case "try-empty-password":
			o.Empty = yes(v)
		default:
			if !slices.Contains(ignored, k) {
				o.Unknown = append(o.Unknown, opt)
			}
		}
	}
	if o.Plain {
		o.Args = append(o.Args, o.plain...) // LUKS has them in its header
	}
	return o
}
