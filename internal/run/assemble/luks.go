package assemble

import (
	"fmt"
	"slices"
	"strings"

	"bareroot/internal/run/device"
)

// luks opens encrypted devices with cryptsetup: by key file, by what a token
// on the device knows to do (TPM2 and others), by passphrase.
type luks struct {
	policy
	words    []luksWord
	table    []Entry
	options  []idValue // rd.luks.options
	data     []idValue // rd.luks.data
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
	data   string // device with the data, apart from the header; or "" for the one with the header
	name   string // "" is luks-UUID
}

// idValue is [UUID=]VALUE.
type idValue struct{ uuid, value string }

// tries is how often a passphrase is asked for unless the options say it.
const tries = 5

func newLUKS(c Config) Assembler {
	l := c.Line
	m := &luks{policy: newPolicy(l, "rd.luks"), has: c.Has("cryptsetup"), keyWait: l.Int(10, 0, 86400, "rd.luks.key.tout"), timeout: l.Int(0, 0, 86400, "rd.luks.timeout")}
	for _, w := range l {
		v := w.Value
		if v == "" && w.Key != "rd.luks.allow-discards" {
			continue
		}
		switch w.Key {
		case "rd.luks.uuid":
			m.words = append(m.words, luksWord{word: w.String(), uuid: digits(strings.TrimPrefix(strings.TrimPrefix(v, "UUID="), "luks-"))})
		case "rd.luks.partuuid":
			m.words = append(m.words, luksWord{word: w.String(), form: "PARTUUID=" + v})
		case "rd.luks.serial":
			m.words = append(m.words, luksWord{word: w.String(), serial: v})
		case "rd.luks.name":
			if uuid, name, ok := strings.Cut(v, "="); ok && name != "" {
				m.words = append(m.words, luksWord{word: w.String(), uuid: digits(uuid), name: name})
			} else {
				c.Warn(w.String() + ": the form is UUID=NAME; it is ignored")
			}
		case "rd.luks.options":
			m.options = append(m.options, splitID(v))
		case "rd.luks.key":
			m.keys = append(m.keys, splitID(v))
		case "rd.luks.data":
			if d := splitID(v); d.uuid != "" && d.value != "" {
				m.data = append(m.data, d)
			} else {
				c.Warn(w.String() + ": the form is UUID=DEVICE, with the whole UUID; it is ignored")
			}
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
	for _, d := range m.data {
		i := slices.IndexFunc(m.words, func(w luksWord) bool { return w.uuid != "" && strings.HasPrefix(d.uuid, w.uuid) })
		if i < 0 {
			i = len(m.words)
			m.words = append(m.words, luksWord{word: "rd.luks.data=" + device.Dashed(d.uuid) + "=" + d.value})
		}
		m.words[i].uuid, m.words[i].data = d.uuid, d.value
	}
	if l.Bool(true, "rd.luks.crypttab") {
		for _, e := range ParseCrypttab(c.Read("/etc/crypttab")) {
			if !readOptions(e.Options).NotHere {
				m.table = append(m.table, e)
			}
		}
	}
	return m
}

// names says whether a line of the table names b: by its device, which must
// be encrypted unless the line says how to do without a header on it.
func (e Entry) names(v View, b *device.Block) bool {
	if !v.is(b, e.Device) {
		return false
	}
	o := readOptions(e.Options)
	return b.FS == "crypto_LUKS" || o.Plain || o.Header != ""
}

// splitID reads [UUID=]VALUE: 32 digits before the sign are a UUID.
func splitID(s string) idValue {
	id, rest, ok := strings.Cut(s, "=")
	if d := digits(strings.TrimPrefix(id, "luks-")); ok && len(d) == 32 && strings.Trim(d, "0123456789abcdef") == "" {
		return idValue{d, rest}
	}
	return idValue{"", s}
}

// target is a device that is to be opened.
type target struct {
	name  string
	uuid  string // digits
	table *Entry // its line of the table
	apart bool   // its header is elsewhere
}

// pick decides whether b is opened, and as what.
func (m *luks) pick(v View, b *device.Block) (t target, ok bool) {
	if m.off {
		return t, false
	}
	t.name, t.uuid = "luks-"+b.UUID, digits(b.UUID)
	for i, e := range m.table {
		if e.names(v, b) {
			t.table, t.name = &m.table[i], e.Name
		}
	}
	for _, w := range m.words {
		if !w.fits(v, b) {
			continue
		}
		if w.data != "" {
			t = target{name: "luks-" + device.Dashed(w.uuid), uuid: w.uuid, apart: true}
		}
		if w.name != "" {
			t.name = w.name
		}
		return t, true
	}
	switch {
	case t.table != nil:
		return t, !readOptions(t.table.Options).NoAuto || m.unnamed(v)
	case b.FS != "crypto_LUKS":
		return t, false
	case v.Want == "/dev/mapper/"+t.name && !m.never:
		return t, true
	case v.Auto == b.Name && !m.never:
		t.name = autoTitle
		return t, true
	case len(m.words) > 0 || len(m.table) > 0:
		return t, false
	}
	if title, ok := strings.CutPrefix(v.Want, "/dev/mapper/"); ok && only(v, b) {
		if _, _, lvm := volume(v.Want); !lvm {
			t.name = title // as Debian's installer calls it: sda2_crypt
		}
	}
	return t, m.unnamed(v)
}

// only says whether b is the only encrypted device that is not open.
func only(v View, b *device.Block) bool {
	return !slices.ContainsFunc(v.Blocks, func(o *device.Block) bool {
		return o.Name != b.Name && o.FS == "crypto_LUKS" && !opened(v, o)
	})
}

func (w luksWord) fits(v View, b *device.Block) bool {
	switch {
	case w.data != "":
		return v.is(b, w.data)
	case b.FS != "crypto_LUKS":
		return false
	case w.form != "":
		return v.is(b, w.form)
	case w.serial != "":
		return slices.ContainsFunc(b.IDs, func(id string) bool {
			return strings.HasSuffix(id, "_"+w.serial) || strings.HasSuffix(id, "-"+w.serial)
		})
	}
	return w.uuid != "" && strings.HasPrefix(digits(b.UUID), w.uuid)
}

func (m *luks) Plan(v View) []Step {
	if !m.has {
		return nil
	}
	var out []Step
	for _, b := range v.Blocks {
		t, ok := m.pick(v, b)
		if !ok {
			continue
		}
		if _, open := v.mapped(t.name); open || v.under(b.Name) {
			continue
		}
		u := m.unlock(b, t)
		out = append(out, Step{Key: "luks " + b.Name, Why: fmt.Sprintf("open %s as %s", b.Name, t.name), Unlock: &u})
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
			if fits(b) {
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
		if b, ok := find(func(b *device.Block) bool { return e.names(v, b) }); ok {
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
		_, ok := m.pick(v, b)
		if b.FS != "crypto_LUKS" && !ok || opened(v, b) {
			continue
		}
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
