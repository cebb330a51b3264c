package assemble

import (
	"fmt"
	"slices"
	"strings"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/device"
)

// luks opens encrypted devices with cryptsetup: by key file, by what a token
// on the device knows to do (TPM2 and others), by passphrase.
type luks struct {
	policy
	words    []luksWord
	table    []Entry
	options  []idValue // rd.luks.options
	keys     []idValue // rd.luks.key
	discards []string  // rd.luks.allow-discards: UUIDs, "" all
	keyWait  int
	timeout  int // seconds for a passphrase
	has      bool
}

// luksWord is a device that the command line names.
type luksWord struct {
	word   string // for messages
	uuid   string // digits, or the first of them
	form   string // or in another way
	serial string
	name   string // "" is luks-UUID
}

// idValue is [UUID=]VALUE.
type idValue struct{ uuid, value string }

// tries is how often a passphrase is asked for unless the options say it.
const tries = 5

func newLUKS(c Config) Assembler {
	l := c.Line
	m := &luks{policy: newPolicy(l, "rd.luks", "luks"), has: c.Has("cryptsetup"), keyWait: l.Int(10, 0, 86400, "rd.luks.key.tout"), timeout: l.Int(0, 0, 86400, "rd.luks.timeout")}
	for _, w := range l {
		v := w.Value
		if v == "" && w.Key != "rd.luks.allow-discards" {
			continue
		}
		switch w.Key {
		case "rd.luks.uuid", "rd_LUKS_UUID", "luks.uuid":
			m.words = append(m.words, luksWord{word: w.String(), uuid: digits(strings.TrimPrefix(strings.TrimPrefix(v, "UUID="), "luks-"))})
		case "rd.luks.partuuid":
			m.words = append(m.words, luksWord{word: w.String(), form: "PARTUUID=" + v})
		case "rd.luks.serial":
			m.words = append(m.words, luksWord{word: w.String(), serial: v})
		case "rd.luks.name", "luks.name":
			if uuid, name, ok := strings.Cut(v, "="); ok && name != "" {
				m.words = append(m.words, luksWord{word: w.String(), uuid: digits(uuid), name: name})
			}
		case "rd.luks.options", "luks.options":
			m.options = append(m.options, splitID(v))
		case "rd.luks.key", "luks.key":
			m.keys = append(m.keys, splitID(v))
		case "rd.luks.allow-discards":
			switch v {
			case "0", "no", "off":
			case "", "1", "yes", "on":
				m.discards = append(m.discards, "")
			default:
				m.discards = append(m.discards, digits(strings.TrimPrefix(v, "luks-")))
			}
		}
	}
	if l.Bool(true, "rd.luks.crypttab", "luks.crypttab") {
		m.table = ParseCrypttab(c.Read("/etc/crypttab"))
	}
	return m
}

// splitID reads [UUID=]VALUE: 32 digits before the sign are a UUID.
func splitID(s string) idValue {
	id, rest, ok := strings.Cut(s, "=")
	if d := digits(strings.TrimPrefix(id, "luks-")); ok && len(d) == 32 && strings.Trim(d, "0123456789abcdef") == "" {
		return idValue{d, rest}
	}
	return idValue{"", s}
}

// Unlock is how one device is opened.
type Unlock struct {
	Device, Name, UUID string
	Args               []string // cryptsetup's, further
	Keys               []KeyFile
	KeyWait            int  // seconds for the devices that keys are on
	NoFail             bool // the boot goes on without
	Tries              int
	Timeout            int // seconds for the passphrase, 0 for ever
	Notes              []string
}

// pick decides whether b is opened, and as what.
func (m *luks) pick(v View, b *device.Block) (name string, table *Entry, ok bool) {
	if b.FS != "crypto_LUKS" || m.off {
		return "", nil, false
	}
	name = "luks-" + b.UUID
	for i, e := range m.table {
		if v.is(b, e.Device) {
			table = &m.table[i]
			name = e.Name
		}
	}
	for _, w := range m.words {
		if w.fits(v, b) {
			if w.name != "" {
				name = w.name
			}
			return name, table, true
		}
	}
	switch {
	case table != nil:
		return name, table, !readOptions(table.Options).NoAuto || m.unnamed(v)
	case v.Want == "/dev/mapper/"+name && !m.never:
		return name, nil, true
	case len(m.words) > 0 || len(m.table) > 0:
		return "", nil, false
	}
	return name, nil, m.unnamed(v)
}

func (w luksWord) fits(v View, b *device.Block) bool {
	switch {
	case w.form != "":
		return v.is(b, w.form)
	case w.serial != "":
		return slices.ContainsFunc(b.IDs, func(id string) bool {
			return strings.HasSuffix(id, "_"+w.serial) || strings.HasSuffix(id, "-"+w.serial)
		})
	}
	return w.uuid != "" && strings.HasPrefix(digits(b.UUID), w.uuid)
}

// unlock says how b is opened.
func (m *luks) unlock(b *device.Block, name string, table *Entry) Unlock {
	u := Unlock{Device: "/dev/" + b.Name, Name: name, UUID: b.UUID, KeyWait: m.keyWait}
	mine := func(uuid string) bool { return uuid == "" || uuid == digits(b.UUID) }
	var opts []string
	if table != nil {
		opts = table.Options
	}
	for _, o := range m.options {
		if mine(o.uuid) {
			opts = append(opts[:len(opts):len(opts)], splitOptions(o.value)...)
		}
	}
	o := readOptions(opts)
	u.Args, u.NoFail, u.Timeout, u.Notes = o.Args, o.NoFail, o.Timeout, o.Unknown
	if u.Timeout == 0 {
		u.Timeout = m.timeout
	}
	if u.Tries = o.Tries; u.Tries <= 0 {
		u.Tries = tries
	}
	for _, d := range m.discards {
		if (d == "" || strings.HasPrefix(digits(b.UUID), d)) && !slices.Contains(u.Args, "--allow-discards") {
			u.Args = append(u.Args, "--allow-discards")
		}
	}
	for _, k := range m.keys {
		if !mine(k.uuid) {
			continue
		}
		// dracut's PATH:KEYDEV:LUKSDEV, the last of which names the device.
		path, rest, _ := strings.Cut(k.value, ":")
		dev, target, named := strings.Cut(rest, ":")
		if named && !strings.HasPrefix(digits(b.UUID), digits(strings.TrimPrefix(strings.TrimPrefix(target, "UUID="), "luks-"))) && target != "/dev/"+b.Name {
			continue
		}
		u.Keys = append(u.Keys, KeyFile{Path: path, Device: dev, Offset: o.Offset, Size: o.Size})
	}
	if table != nil && table.Key != "" {
		k := parseKey(table.Key)
		k.Offset, k.Size = o.Offset, o.Size
		u.Keys = append(u.Keys, k)
	}
	return u
}

func (m *luks) Plan(v View) []Step {
	if !m.has {
		return nil
	}
	var out []Step
	for _, b := range v.Blocks {
		name, table, ok := m.pick(v, b)
		if !ok {
			continue
		}
		if _, open := v.mapped(name); open || v.under(b.Name) {
			continue
		}
		u := m.unlock(b, name, table)
		out = append(out, Step{Key: "luks " + b.Name, Why: fmt.Sprintf("open %s as %s", b.Name, name), Unlock: &u})
	}
	return out
}

// opened says whether b's mapped device is there.
func opened(v View, b *device.Block) bool {
	for _, d := range v.Mapped {
		if strings.HasPrefix(d.UUID, "CRYPT-") && slices.Contains(d.Under, b.Name) {
			return v.read(d.Name)
		}
	}
	return false
}

func (m *luks) Missing(v View) []string {
	if m.off {
		return nil
	}
	var out []string
	state := func(what string, b *device.Block) {
		switch {
		case opened(v, b):
		case !m.has:
			out = append(out, fmt.Sprintf("%s: %s is it, but %s", what, b.Name, lacks("cryptsetup", "crypt")))
		default:
			out = append(out, fmt.Sprintf("%s: %s is not open yet", what, b.Name))
		}
	}
	find := func(fits func(*device.Block) bool) (*device.Block, bool) {
		for _, b := range v.Blocks {
			if b.FS == "crypto_LUKS" && fits(b) {
				return b, true
			}
		}
		return nil, false
	}
	for _, w := range m.words {
		if b, ok := find(func(b *device.Block) bool { return w.fits(v, b) }); ok {
			state(w.word, b)
		} else {
			out = append(out, w.word+": no such encrypted device seen")
		}
	}
	for _, e := range m.table {
		if o := readOptions(e.Options); o.NoAuto || o.NoFail {
			continue
		}
		what := "crypttab: " + e.Name
		if b, ok := find(func(b *device.Block) bool { return v.is(b, e.Device) }); ok {
			state(what, b)
		} else {
			out = append(out, what+": no encrypted device "+e.Device+" seen")
		}
	}
	return out
}

func (m *luks) Left(v View) []string {
	var out []string
	for _, b := range v.Blocks {
		if b.FS != "crypto_LUKS" || opened(v, b) {
			continue
		}
		_, _, ok := m.pick(v, b)
		switch {
		case m.off:
			out = append(out, b.Name+" is encrypted, but rd.luks=0")
		case !m.has:
			out = append(out, b.Name+" is encrypted, but "+lacks("cryptsetup", "crypt"))
		case ok:
			out = append(out, b.Name+" is encrypted and was not opened")
		default:
			out = append(out, fmt.Sprintf("%s is encrypted (rd.luks.uuid=%s opens it)", b.Name, b.UUID))
		}
	}
	return out
}

// namesAnything says whether a line asks for devices to be assembled at all.
func namesAnything(l cmdline.Line) bool {
	for _, w := range l {
		for _, p := range []string{"rd.md.uuid", "rd.lvm.vg", "rd.lvm.lv", "rd.luks.uuid", "rd.luks.name", "rd.luks.partuuid", "rd.luks.serial"} {
			if w.Key == p {
				return true
			}
		}
	}
	return l.Bool(false, "rd.auto")
}
