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
	for name, b := range m.blocks {
		number := m.attr(filepath.Join(m.sys, "class/block", name), "dev")
		if number == "" {
			continue // it went away
		}
		if err := os.WriteFile(filepath.Join(dir, "data", "b"+number), []byte(b.record(boot)), 0o644); err != nil {
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
func (b Block) record(boot time.Duration) string {
	var o strings.Builder
	links := b.links()
	slices.Sort(links)
	for _, l := range links {
		fmt.Fprintf(&o, "S:disk/%s\n", l)
	}
	fmt.Fprintf(&o, "I:%d\n", boot.Microseconds())
	for _, e := range [][2]string{
		{"ID_FS_LABEL", clean(b.Label)}, {"ID_FS_LABEL_ENC", Encode(b.Label)}, {"ID_FS_TYPE", b.FS}, {"ID_FS_UUID", b.UUID}, {"ID_FS_UUID_ENC", b.UUID},
		{"ID_PART_ENTRY_NAME", Encode(b.PartLabel)}, {"ID_PART_ENTRY_UUID", b.PartUUID},
	} {
		if e[1] != "" {
			fmt.Fprintf(&o, "E:%s=%s\n", e[0], e[1])
		}
	}
	if b.FS != "" {
		fmt.Fprint(&o, "E:ID_FS_USAGE=", usage(b.FS), "\n")
	}
	o.WriteString("G:systemd\nQ:systemd\nV:1\n")
	return o.String()
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
	switch fs {
	case "crypto_LUKS":
		return "crypto"
	case "jbd":
		return "other"
	case "LVM2_member", "linux_raid_member":
		return "raid"
	}
	return "filesystem"
}
