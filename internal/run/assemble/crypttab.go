package assemble

import (
	"strconv"
	"strings"
)

// Entry is a line of crypttab(5): the device Name is made of Device.
type Entry struct {
	Name, Device string
	Key          string // path, "" for a passphrase
	Options      []string
}

// ParseCrypttab reads a crypttab. A line with fewer than two fields is none.
func ParseCrypttab(text string) []Entry {
	var out []Entry
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		e := Entry{Name: f[0], Device: strings.ReplaceAll(f[1], `"`, "")}
		if len(f) > 2 && f[2] != "-" && f[2] != "none" {
			e.Key = f[2]
		}
		if len(f) > 3 {
			e.Options = splitOptions(f[3])
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

// KeyFile is where a key comes from.
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

// optionArgs are cryptsetup's arguments for crypttab's options. What the
// others mean is in the rest of the result.
type optionArgs struct {
	Args    []string
	Offset  int64
	Size    int64
	Tries   int
	Timeout int // seconds for the passphrase
	NoFail  bool
	NoAuto  bool
	Unknown []string // not carried out
}

func readOptions(opts []string) optionArgs {
	var o optionArgs
	for _, opt := range opts {
		k, v, _ := strings.Cut(opt, "=")
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
		case "header":
			o.Args = append(o.Args, "--header", v)
		case "key-slot", "keyslot":
			o.Args = append(o.Args, "--key-slot", v)
		case "keyfile-offset":
			o.Offset, _ = strconv.ParseInt(v, 10, 64)
		case "keyfile-size":
			o.Size, _ = strconv.ParseInt(v, 10, 64)
		case "tries":
			o.Tries, _ = strconv.Atoi(v)
		case "timeout":
			o.Timeout, _ = strconv.Atoi(strings.TrimSuffix(v, "s"))
		case "nofail":
			o.NoFail = true
		case "noauto":
			o.NoAuto = true
		case "luks", "x-initrd.attach", "initramfs", "_netdev", "x-systemd.device-timeout", "password-echo", "token-timeout", "tpm2-device", "tpm2-pcrs", "fido2-device", "pkcs11-uri":
			// LUKS is all there is; tokens are described on the device.
		default:
			o.Unknown = append(o.Unknown, opt)
		}
	}
	return o
}
