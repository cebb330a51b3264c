package assemble

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unicode/utf16"

	"bareroot/internal/run/device"
)

// loaderVariable is where boot loaders leave the partition that they were
// started from (systemd's Boot Loader Interface).
const loaderVariable = "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// rootType is the type of a root partition of this architecture (Discoverable
// Partitions Specification).
func rootType(arch string) string {
	switch arch {
	case "amd64":
		return "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
	case "arm64":
		return "b921b045-1df0-41c3-af44-4c6f280d3fae"
	}
	return ""
}

// autoTitle is the mapped device's name if that partition is encrypted, as in
// systemd.
const autoTitle = "root"

// efiText reads an EFI variable that is a text: four bytes of attributes, then
// UTF-16.
func efiText(raw string) string {
	var u []uint16
	for i := 4; i+1 < len(raw); i += 2 {
		c := binary.LittleEndian.Uint16([]byte(raw[i : i+2]))
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}

// autoRoot finds the partition that root=gpt-auto means: the first of a root's
// type on the disk that the boot loader came from, loader being its partition;
// without a loader that says so, on the only disk that has one. If there is
// none, why says the reason.
func autoRoot(blocks []*device.Block, loader string) (root *device.Block, why string) {
	disk := ""
	if loader != "" {
		i := slices.IndexFunc(blocks, func(b *device.Block) bool { return strings.EqualFold(b.PartUUID, loader) })
		if i < 0 {
			return nil, fmt.Sprintf("the boot loader's partition %s is not seen", strings.ToLower(loader))
		}
		disk = blocks[i].Disk
	}
	var disks []string
	for _, b := range blocks {
		if b.PartType != rootType(runtime.GOARCH) || b.NoAuto || disk != "" && b.Disk != disk {
			continue
		}
		if !slices.Contains(disks, b.Disk) {
			disks = append(disks, b.Disk)
		}
		if root == nil || b.Part < root.Part {
			root = b
		}
	}
	switch {
	case len(disks) > 1:
		return nil, "several disks have a root partition (" + strings.Join(disks, ", ") + ") and the boot loader does not say which is meant"
	case root == nil && disk != "":
		return nil, "no partition of a root's type on " + disk + ", where the boot loader is"
	case root == nil:
		return nil, "no partition of a root's type seen"
	}
	return root, ""
}

// findAuto finds what root=gpt-auto means: the partition, or what is made of
// it if it is encrypted.
func (v *View) findAuto(loader string) (string, device.Block) {
	if !v.Settled && !v.Late {
		v.Why = "a better one may still come"
		return "", device.Block{}
	}
	b, why := autoRoot(v.Blocks, loader)
	if b == nil {
		v.Why = why
		return "", device.Block{}
	}
	v.Auto = b.Name
	if b.FS == "crypto_LUKS" {
		v.Why = b.Name + " is encrypted and is not open yet"
		i := slices.IndexFunc(v.Mapped, func(d device.Mapped) bool {
			return strings.HasPrefix(d.UUID, "CRYPT-") && slices.Contains(d.Under, b.Name)
		})
		if i < 0 {
			return "", device.Block{}
		}
		j := slices.IndexFunc(v.Blocks, func(b *device.Block) bool { return b.Name == v.Mapped[i].Name })
		if j < 0 {
			return "", device.Block{}
		}
		b = v.Blocks[j]
	}
	v.Found, v.Why = b.Name, ""
	return "/dev/" + b.Name, *b
}
