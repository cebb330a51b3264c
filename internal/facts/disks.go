package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"bareroot/api"
	"bareroot/internal/disk"
	"bareroot/internal/sys"
)

// wholeDisk matches kernel names of disks; not of what is built on them
// (dm, md, loop), of memory (ram, zram), optical drives, and the boot areas
// of eMMC.
var wholeDisk = regexp.MustCompile(`^(sd[a-z]+|vd[a-z]+|xvd[a-z]+|hd[a-z]+|nvme[0-9]+n[0-9]+|mmcblk[0-9]+|pmem[0-9]+|dasd[a-z]+)$`)

// Disks lists the machine's disks with what is on them and what stops them
// from being written.
func (g *Gatherer) Disks(ctx context.Context) ([]disk.Info, error) {
	names := g.list("/sys/block")
	used := g.inUse()
	var out []disk.Info
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !wholeDisk.MatchString(n) {
			continue
		}
		d := disk.Info{Disk: g.disk(n), InUse: used[n]}
		if d.Size == 0 {
			continue // a card reader without a card
		}
		look := g.Content
		if look == nil {
			look = func(p string, size int64) ([]string, []byte, *disk.Mark, error) {
				return disk.Content(g.path(p), size)
			}
		}
		found, head, mark, err := look(d.Path, d.Size)
		switch {
		case err == nil:
			d.Content, d.Head, d.Mark = found, head, mark
		case errors.Is(err, fs.ErrNotExist) && d.InUse == "":
			d.InUse = "its device node is missing"
		default: // what cannot be read is not known to be empty
			d.Content = []string{"unreadable: " + err.Error()}
		}
		out = append(out, d)
	}
	return out, nil
}

func (g *Gatherer) disk(n string) api.Disk {
	dir := "/sys/block/" + n
	at := func(f string) string { return g.read(dir + "/" + f) }
	d := api.Disk{
		Path: "/dev/" + n, Size: g.number(dir+"/size") * 512, SectorSize: int(g.number(dir + "/queue/logical_block_size")),
		Model:      strings.Join(strings.Fields(at("device/model")), " "),
		Rotational: at("queue/rotational") == "1", Removable: at("removable") == "1", ReadOnly: at("ro") == "1",
	}
	if d.SectorSize == 0 {
		d.SectorSize = 512
	}
	real, err := filepath.EvalSymlinks(g.path(dir))
	if err != nil {
		real = dir
	}
	d.Transport = transport(n, real)
	d.Serial = g.serial(dir)
	d.WWN = wwn(at("wwid"), at("device/wwid"))
	byPath := diskPath(real, func(port string) string { // of an ata port: its number on the controller
		i := strings.Index(real, "/"+port+"/")
		if no := sys.Line(filepath.Join(real[:i], port, "ata_port", port, "port_no")); no != "" {
			return no
		}
		return strings.TrimPrefix(port, "ata")
	})
	switch {
	case d.WWN != "":
		d.ID = "wwn-" + d.WWN
	case d.Serial != "":
		d.ID = "serial-" + tidy(d.Serial)
	case byPath != "":
		d.ID = "path-" + byPath
	default:
		d.ID = "path-" + n
	}
	d.Links = g.links(d, byPath)
	return d
}

func transport(name, real string) string {
	switch {
	case strings.HasPrefix(name, "nvme"):
		return "nvme"
	case strings.HasPrefix(name, "mmcblk"):
		return "mmc"
	case strings.Contains(real, "/usb"):
		return "usb"
	case strings.HasPrefix(name, "vd"):
		return "virtio"
	case strings.Contains(real, "/ata"):
		return "sata"
	case strings.HasPrefix(name, "sd"):
		return "scsi"
	}
	return ""
}

// serial is where each kind of disk keeps it; SCSI has it in a binary page:
// four bytes of header, then text.
func (g *Gatherer) serial(dir string) string {
	for _, f := range []string{"/serial", "/device/serial"} {
		if s := g.read(dir + f); s != "" {
			return s
		}
	}
	b, err := os.ReadFile(g.path(dir + "/device/vpd_pg80"))
	if err != nil || len(b) < 4 {
		return ""
	}
	n := min(int(b[2])<<8|int(b[3]), len(b)-4)
	return strings.TrimSpace(strings.ToValidUTF8(strings.Trim(string(b[4:4+n]), "\x00"), "?"))
}

// wwn takes names that are unique in the world: NAA, EUI-64, NGUID. What
// starts with t10 or nvme. is made of model and serial; the serial is better.
func wwn(ids ...string) string {
	for _, s := range ids {
		s = strings.ToLower(strings.TrimSpace(s))
		for _, p := range []string{"naa.", "eui.", "uuid."} {
			if rest, ok := strings.CutPrefix(s, p); ok && strings.Trim(rest, "0-") != "" {
				if p == "naa." {
					return "0x" + rest
				}
				return p + rest
			}
		}
	}
	return ""
}

// diskPath names a disk by its place: PCI address, and what follows that does
// not change from boot to boot (host numbers do).
func diskPath(real string, port func(string) string) string {
	var out []string
	for _, c := range strings.Split(real, "/") {
		switch {
		case isPCI(c):
			out = []string{"pci-" + c}
		case len(out) == 0:
		case regexp.MustCompile(`^ata[0-9]+$`).MatchString(c):
			out = append(out, "ata-"+port(c))
		case regexp.MustCompile(`^[0-9]+:[0-9]+:[0-9]+:[0-9]+$`).MatchString(c):
			_, ctl, _ := strings.Cut(c, ":")
			out = append(out, "scsi-"+ctl)
		case regexp.MustCompile(`^[0-9]+-[0-9.]+$`).MatchString(c):
			out = append(out, "usb-"+c)
		case regexp.MustCompile(`^nvme[0-9]+n[0-9]+$`).MatchString(c):
			out = append(out, "nvme-"+c[strings.LastIndex(c, "n")+1:])
		}
	}
	return strings.Join(out, "-")
}

// links are the names under which an operator knows the disk: those that
// exist, and those that udev makes of the same facts, as a ramdisk has no udev.
func (g *Gatherer) links(d api.Disk, byPath string) []string {
	set := map[string]bool{}
	add := func(s string) {
		if s != "" {
			set["/dev/disk/"+s] = true
		}
	}
	serial, model := tidy(d.Serial), tidy(d.Model)
	if d.WWN != "" {
		if strings.HasPrefix(d.WWN, "0x") {
			add("by-id/wwn-" + d.WWN)
		} else {
			add("by-id/" + d.Transport + "-" + d.WWN)
		}
	}
	if serial != "" {
		switch d.Transport {
		case "virtio":
			add("by-id/virtio-" + serial)
		case "sata":
			add("by-id/ata-" + model + "_" + serial)
		case "nvme":
			add("by-id/nvme-" + model + "_" + serial)
		}
	}
	if byPath != "" {
		add("by-path/" + byPath)
	}
	for _, dir := range []string{"by-id", "by-path", "by-diskseq"} {
		for _, l := range g.list("/dev/disk/" + dir) {
			if "/dev/"+g.link("/dev/disk/"+dir+"/"+l) == d.Path {
				add(dir + "/" + l)
			}
		}
	}
	var out []string
	for l := range set {
		out = append(out, l)
	}
	sort.Strings(out)
	return out
}

// tidy makes text fit for a file name, as udev does.
func tidy(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("#+-.:=@_", r) {
			return r
		}
		return '_'
	}, s)
}

// inUse says of each disk's kernel name who uses it: mounts, swap, and
// devices made of it.
func (g *Gatherer) inUse() map[string]string {
	used := map[string]string{}
	byNumber := map[string]string{} // 8:1 -> sda
	for _, n := range g.list("/sys/block") {
		dir := "/sys/block/" + n
		byNumber[g.read(dir+"/dev")] = n
		holders := g.list(dir + "/holders")
		for _, p := range g.list(dir) {
			if strings.HasPrefix(p, n) {
				byNumber[g.read(dir+"/"+p+"/dev")] = n
				holders = append(holders, g.list(dir+"/"+p+"/holders")...)
			}
		}
		if len(holders) > 0 {
			used[n] = "part of " + strings.Join(holders, ", ")
		}
	}
	for _, m := range sys.ParseMountinfo(g.read("/proc/self/mountinfo")) {
		if n, ok := byNumber[m.Dev]; ok {
			used[n] = fmt.Sprintf("mounted on %s", m.Target)
		}
	}
	for line := range strings.Lines(g.read("/proc/swaps")) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		dev := strings.TrimPrefix(f[0], "/dev/")
		for _, n := range byNumber {
			if dev == n || dev != "" && strings.HasPrefix(dev, n) && g.read("/sys/block/"+n+"/"+dev+"/dev") != "" {
				used[n] = "swap on " + f[0]
			}
		}
	}
	return used
}
