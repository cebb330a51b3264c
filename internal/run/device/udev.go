package device

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// HandOver writes what is known of the block devices into udev's run-time
// database below dir ("/run/udev"), as udevd does since systemd 247: a root with
// systemd then takes them for ready at once, and does not wait for its own
// udevd to look at them again. That one replaces the records when it does.
func (m *Manager) HandOver(dir string, boot time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range []string{"data", "tags/systemd"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return fmt.Errorf("hand over devices to udev: %w", err)
		}
	}
	mapped := map[string]Mapped{}
	for _, d := range m.MappedDevices() {
		mapped[d.Name] = d
	}
	for name, b := range m.blocks {
		number := attr(filepath.Join(m.sys, "class/block", name), "dev")
		if number == "" {
			continue // it went away
		}
		if err := os.WriteFile(filepath.Join(dir, "data", "b"+number), []byte(b.record(boot, mapped[name])), 0o644); err != nil {
			return fmt.Errorf("hand over %s to udev: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tags/systemd", "b"+number), nil, 0o644); err != nil {
			return fmt.Errorf("hand over %s to udev: %w", name, err)
		}
	}
	return nil
}

// record is the device's file in udev's database: links, time since the
// kernel's start in microseconds, properties, tags, version of the form.
func (b Block) record(boot time.Duration, d Mapped) string {
	var o strings.Builder
	var links []string
	for _, l := range b.links() {
		links = append(links, "disk/"+l)
	}
	links = append(links, d.links()...)
	slices.Sort(links)
	for _, l := range links {
		fmt.Fprintf(&o, "S:%s\n", l)
	}
	fmt.Fprintf(&o, "I:%d\n", boot.Microseconds())
	for _, e := range [][2]string{
		{"ID_FS_LABEL", clean(b.Label)}, {"ID_FS_LABEL_ENC", Encode(b.Label)}, {"ID_FS_TYPE", b.FS}, {"ID_FS_UUID", b.UUID}, {"ID_FS_UUID_ENC", b.UUID},
		{"ID_PART_ENTRY_NAME", Encode(b.PartLabel)}, {"ID_PART_ENTRY_UUID", b.PartUUID},
		{"ID_SERIAL", b.idOf("scsi-3", "3")}, {"ID_WWN", b.idOf("wwn-", "")},
		{"DM_NAME", d.Title}, {"DM_UUID", d.UUID},
	} {
		if e[1] != "" {
			fmt.Fprintf(&o, "E:%s=%s\n", e[0], e[1])
		}
	}
	if b.FS != "" {
		fmt.Fprint(&o, "E:ID_FS_USAGE=", usage(b.FS), "\n")
	}
	if d.Name != "" {
		// The root's udev takes a mapped device for usable only if its record says
		// that whoever made it has said so.
		o.WriteString("E:DM_ACTIVATION=1\nE:DM_SUSPENDED=0\nE:DM_UDEV_PRIMARY_SOURCE_FLAG=1\nE:DM_UDEV_RULES=1\nE:DM_UDEV_RULES_VSN=2\n")
		if d.hidden() {
			o.WriteString("E:DM_UDEV_DISABLE_DISK_RULES_FLAG=1\nE:DM_UDEV_DISABLE_OTHER_RULES_FLAG=1\nE:DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG=1\n")
		}
	}
	o.WriteString("G:systemd\nQ:systemd\nV:1\n")
	return o.String()
}

// idOf is what udev's property says that the by-id link of a whole disk with a
// prefix is made from.
func (b Block) idOf(prefix, before string) string {
	for _, id := range b.IDs {
		if rest, ok := strings.CutPrefix(id, prefix); ok && b.Part == 0 {
			return clean(before + rest)
		}
	}
	return ""
}

// clean keeps a label on its line: what could end it becomes an underscore.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, s)
}

func usage(fs string) string {
	if (Content{FS: fs}).RAID() {
		return "raid"
	}
	switch fs {
	case "crypto_LUKS":
		return "crypto"
	case "jbd":
		return "other"
	case "LVM2_member":
		return "raid"
	}
	return "filesystem"
}
