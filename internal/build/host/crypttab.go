package host

import (
	"path"
	"slices"
	"strings"

	"bareroot/internal/sys"
)

// Crypt is a line of crypttab(5) that the boot needs: of a device under the
// root or swap, or one that says itself that it belongs into a ramdisk.
type Crypt struct {
	Name   string
	fields []string // four, as they are written; the last is "" without options
}

// parseCrypttab reads crypttab. A line with fewer than two fields is none.
func parseCrypttab(text string) []Crypt {
	var out []Crypt
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		for len(f) < 4 {
			f = append(f, "-")
		}
		if f[3] == "-" {
			f[3] = ""
		}
		out = append(out, Crypt{Name: sys.Unescape(f[0]), fields: f[:4]})
	}
	return out
}

// option is the last value of an option.
func (c *Crypt) option(key string) (string, bool) {
	v, ok := option(c.fields[3], key)
	return sys.Unescape(v), ok
}

// asked: the line says that a ramdisk is to open the device, in systemd's and
// Debian's words or in dracut's.
func (c *Crypt) asked() bool {
	return slices.ContainsFunc([]string{"x-initrd.attach", "initramfs", "force"}, func(key string) bool {
		_, ok := c.option(key)
		return ok
	})
}

func (c *Crypt) device() string {
	return unquoteTag(sys.Unescape(strings.ReplaceAll(c.fields[1], `"`, "")))
}

// Line is what the ramdisk's crypttab says of it.
func (c *Crypt) Line() string {
	line := strings.Join(c.fields[:3], " ")
	// dracut's "force" is for the build only.
	options := slices.DeleteFunc(strings.Split(c.fields[3], ","), func(o string) bool { return o == "" || o == "force" })
	if len(options) > 0 {
		line += " " + strings.Join(options, ",")
	}
	return line
}

// key is the file of the root that opens the device, "" if there is none or it
// is on a device of its own.
func (c *Crypt) key() string {
	f := sys.Unescape(c.fields[2])
	if !strings.HasPrefix(f, "/") || strings.HasPrefix(f, "/dev/") || strings.Contains(f, ":") {
		return ""
	}
	return f
}

// Key is the file of the machine's root that holds the key, if the line wants it
// in the ramdisk, which only x-initrd.attach says. Where the line names none it
// may be absent.
func (c *Crypt) Key() (name string, named bool) {
	if _, ok := c.option("x-initrd.attach"); !ok {
		return "", false
	}
	if c.fields[2] == "-" || c.fields[2] == "none" {
		return "/etc/cryptsetup-keys.d/" + c.Name + ".key", false // as systemd looks for it
	}
	return c.key(), true
}

// Header is the file of the machine's root that is the device's LUKS header; ""
// if that is on the device, or on another.
func (c *Crypt) Header() string {
	h, _ := c.option("header")
	if !strings.HasPrefix(h, "/") || strings.HasPrefix(h, "/dev/") || strings.Contains(h, ":") {
		return ""
	}
	return h
}

// Script is the program whose output is the key; "" if there is none.
func (c *Crypt) Script() string {
	s, _ := c.option("keyscript")
	if s != "" && !strings.HasPrefix(s, "/") {
		return path.Join("/lib/cryptsetup/scripts", s) // where Debian has them
	}
	return s
}

// Crypttab lists the lines of the machine's crypttab that the boot needs, in
// their order.
func (h *Host) Crypttab() []Crypt { return h.crypttab }

// readCrypttab finds the lines of what is in the stack, by device or name, and
// adds what lines that ask for it stand on.
func (h *Host) readCrypttab(t tree) {
	text, _ := t.text("etc/crypttab")
	for _, c := range parseCrypttab(text) {
		if _, anew := c.option("swap"); anew {
			continue // made anew at each boot
		}
		if _, anew := c.option("tmp"); anew {
			continue
		}
		n := h.cryptNode(t, &c)
		switch {
		case n == nil && !c.asked():
			continue
		case n == nil:
			h.addAside(t, &c)
		default:
			_, n.apart = c.option("header")
			// The kernel's name may be another one in the ramdisk.
			if !n.apart && n.DM.UUID != "" && len(n.Below) == 1 && c.device() == "/dev/"+n.Below[0].Name {
				c.fields[1] = "UUID=" + n.DM.UUID
			}
		}
		h.judgeCrypt(&c)
		h.crypttab = append(h.crypttab, c)
	}
}

// cryptNode is the device of the stack that the line makes.
func (h *Host) cryptNode(t tree, c *Crypt) *node {
	dev := c.device()
	id, byID := strings.CutPrefix(dev, "UUID=")
	below, _ := t.blockPath("", dev)
	for _, n := range h.stack.nodes {
		switch {
		case n.Kind != "dm" || n.DM.Kind != "crypt":
		case n.Label == "/dev/mapper/"+c.Name,
			byID && n.DM.UUID != "" && strings.EqualFold(id, n.DM.UUID),
			slices.ContainsFunc(n.Below, func(b *node) bool { return b.Path == below }):
			return n
		}
	}
	return nil
}

// addAside adds a device that the root is not on: its drivers, not the words
// that would make the boot wait for it.
func (h *Host) addAside(t tree, c *Crypt) {
	p, ok := t.blockPath("", "/dev/mapper/"+c.Name)
	if !ok {
		if p, ok = t.blockPath("", c.device()); !ok {
			h.notice("the device %s of %s in crypttab is not here: name its drivers with --add-drivers", c.device(), c.Name)
			return
		}
	}
	before := len(h.stack.nodes)
	n := h.stack.under(t, p, "for "+c.Name+" in crypttab", h.seen)
	for _, m := range h.stack.nodes[before:] {
		m.aside = true
	}
	_, n.apart = c.option("header")
}

// judgeCrypt says what the ramdisk will not do of a line.
func (h *Host) judgeCrypt(c *Crypt) {
	_, attach := c.option("x-initrd.attach")
	if k := c.key(); k != "" && !attach && c.Script() == "" {
		h.notice("the key file %s of %s is not copied into the ramdisk, which asks for the passphrase instead; the option x-initrd.attach in crypttab has it copied", k, c.Name)
	}
	if _, dev, ok := strings.Cut(c.fields[2], ":"); ok && dev != "" && c.Script() == "" {
		h.notice("the key of %s is on %s: name the drivers of that with --add-drivers if the ramdisk has not got them", c.Name, dev)
	}
	for _, key := range []string{"fido2-device", "pkcs11-uri"} {
		if _, ok := c.option(key); ok {
			h.notice("%s has %s in crypttab, for which there is no feature; the ramdisk asks for the passphrase", c.Name, key)
		}
	}
}
