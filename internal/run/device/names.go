package device

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// identity is what the names below /dev/disk/by-id and by-path of a whole disk
// are made of, without a program being asked: the names that udev's rules
// (60-persistent-storage.rules of systemd 252, ata_id, scsi_id, usb_id,
// path_id) give the same disk. disk is its name, dir its folder below
// /sys/class/block.
func (m *Manager) identity(disk, dir string) (ids, paths []string) {
	id := func(kind string, parts ...string) {
		var s []string
		for _, p := range parts {
			if p = underscores(p); p != "" {
				s = append(s, p)
			}
		}
		if len(s) > 0 {
			ids = append(ids, kind+strings.Join(s, "_"))
		}
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, nil
	}
	switch {
	case strings.HasPrefix(disk, "vd"):
		id("virtio-", attr(dir, "serial"))
	case strings.HasPrefix(disk, "nvme"):
		model, serial := attr(dir, "device/model"), attr(dir, "device/serial")
		if serial != "" {
			id("nvme-", model, serial)
			id("nvme-", model, serial, attr(dir, "nsid"))
		}
		id("nvme-", attr(dir, "wwid"))
	case strings.HasPrefix(disk, "mmcblk"):
		if serial := attr(dir, "device/serial"); serial != "" {
			id("mmc-", attr(dir, "device/name"), serial)
		}
	case strings.HasPrefix(disk, "sd"), strings.HasPrefix(disk, "sr"):
		vendor, model := attr(dir, "device/vendor"), attr(dir, "device/model")
		pg83, _ := os.ReadFile(filepath.Join(dir, "device/vpd_pg83"))
		pg80, _ := os.ReadFile(filepath.Join(dir, "device/vpd_pg80"))
		v := parseVPD83(pg83)
		switch usb := usbDevice(real); {
		case vendor == "ATA":
			pg89, _ := os.ReadFile(filepath.Join(dir, "device/vpd_pg89"))
			if full, serial := parseVPD89(pg89); serial != "" {
				id("ata-", full, serial)
			} else if serial := vpdText(pg80); serial != "" {
				id("ata-", model, serial)
			}
		case usb != "":
			// Vendor and model are the disk's, the serial number is the bridge's.
			if serial := attr(usb, "serial"); serial != "" {
				id("usb-", vendor, model, serial)
				ids[len(ids)-1] += "-" + scsiInstance(real)
			}
		default:
			switch {
			case v.scsi != "":
				id("scsi-", v.scsi)
			case v.vendor != "":
				id("scsi-0", fmt.Sprintf("%-8s%-16s%s", vendor, model, v.vendor))
			}
			if serial := vpdText(pg80); serial != "" {
				id("scsi-S", vendor, model, serial)
			}
		}
		if v.wwn != "" {
			id("wwn-", v.wwn)
		}
	}
	return ids, pathNames(disk, real)
}

// underscores makes text of hardware a name as udev does: blanks around it go,
// blanks in it and what a file name should not hold become underscores.
func underscores(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '/' && r != '\\' {
			return r
		}
		return '_'
	}, strings.Join(strings.Fields(strings.Trim(s, "\x00 ")), "_"))
}

// vpdText is the text of a SCSI VPD page 0x80: four bytes of header, then the
// serial number (SPC-4, 7.8.15).
func vpdText(page []byte) string {
	if len(page) <= 4 {
		return ""
	}
	return strings.Trim(string(page[4:]), "\x00 ")
}

type vpd83 struct {
	scsi   string // as scsi_id says it: digit of the kind, then the value
	vendor string // the vendor's own text
	wwn    string // 0x...
}

// parseVPD83 reads the designators of the logical unit out of VPD page 0x83
// (SPC-4, 7.8.6). Names of the world win over those of a vendor.
func parseVPD83(page []byte) vpd83 {
	var v vpd83
	best := -1
	for b := page[min(len(page), 4):]; len(b) >= 4; {
		n := int(b[3])
		if len(b) < 4+n {
			break
		}
		set, assoc, kind, data := b[0]&0xf, b[1]>>4&3, b[1]&0xf, b[4:4+n]
		b = b[4+n:]
		if assoc != 0 || n == 0 { // of the port or the target
			continue
		}
		text := strings.Trim(string(data), "\x00 ")
		if set == 1 {
			text = hex.EncodeToString(data)
		}
		rank := -1
		switch kind {
		case 3: // NAA; the extended form is the most exact
			rank = 30
			if data[0]>>4 == 6 {
				rank = 31
			}
			if v.wwn == "" || rank > best {
				v.wwn = "0x" + hex.EncodeToString(data)
			}
		case 2: // EUI-64
			rank = 20
		case 1: // T10 vendor
			rank = 10
		case 0:
			v.vendor = text
		}
		if rank > best {
			best, v.scsi = rank, fmt.Sprintf("%d%s", kind, text)
		}
	}
	return v
}

// parseVPD89 reads model and serial number out of the IDENTIFY data that the
// ATA information page carries from byte 60 on (SAT-3, 12.4.2): words of two
// bytes with the characters changed round, serial in 10-19, model in 27-46.
func parseVPD89(page []byte) (model, serial string) {
	const identify = 60
	if len(page) < identify+2*47 {
		return "", ""
	}
	text := func(word, n int) string {
		b := make([]byte, 2*n)
		for i := range n {
			at := identify + 2*(word+i)
			b[2*i], b[2*i+1] = page[at+1], page[at]
		}
		return strings.Trim(string(b), "\x00 ")
	}
	return text(27, 20), text(10, 10)
}

// usbDevice is the folder of the USB device that a disk is in, "" for none:
// the one above the interface ("1-1:1.0").
func usbDevice(real string) string {
	for dir := real; strings.Count(dir, "/") > 2; dir = filepath.Dir(dir) {
		if name := filepath.Base(dir); strings.Contains(name, ":") && strings.Contains(name, "-") && strings.HasPrefix(name, filepath.Base(filepath.Dir(dir))+":") {
			return filepath.Dir(dir)
		}
	}
	return ""
}

// scsiInstance is target and unit of a SCSI disk's address "2:0:0:1": "0:1".
func scsiInstance(real string) string {
	f := strings.Split(scsiAddress(real), ":")
	if len(f) != 4 {
		return "0:0"
	}
	return f[2] + ":" + f[3]
}

// scsiAddress is the folder "HOST:CHANNEL:TARGET:UNIT" above a disk.
func scsiAddress(real string) string {
	for dir := filepath.Dir(real); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if name := filepath.Base(dir); strings.Count(name, ":") == 3 && strings.Trim(name, "0123456789:") == "" {
			return name
		}
	}
	return ""
}
