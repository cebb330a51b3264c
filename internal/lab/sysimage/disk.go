package sysimage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"bareroot/internal/hosttool"
	"bareroot/internal/sys"
)

// The disk, in sectors: GPT, p1 for GRUB's core under BIOS, p2 the ESP, p3
// the root. Identifiers are fixed, so that equal trees make equal images.
const (
	biosStart, biosSize = 2048, 2048
	espStart            = 4096
	espSize             = 48 << 20 / sector
	rootStart           = espStart + espSize
	tailSize            = 2048 // backup table, and a round end
	mib                 = 1 << 20

	diskID = "6B617265-726F-4F74-8000-000000000001"
	rootID = "6b617265-726f-4f74-8000-000000000002"
)

const earlyCfg = `search --no-floppy --label root --set=root
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
`

// modules that GRUB needs to find the root and start a kernel.
var grubModules = []string{"part_gpt", "ext2", "search", "search_label", "configfile", "normal", "linux", "serial",
	"terminal", "echo", "test", "minicmd"}

// disk makes the compressed disk and the squashfs out of tree/.
func (w *work) disk(ctx context.Context, img *Image) error {
	links, err := filepath.Glob(w.path("tree/boot/vmlinuz-*"))
	if err != nil || len(links) == 0 {
		return fmt.Errorf("the system has no kernel in /boot")
	}
	img.Kernel = strings.TrimPrefix(filepath.Base(links[len(links)-1]), "vmlinuz-")

	w.progress("making the squashfs")
	if _, err := w.inside(ctx, "mksquashfs", "tree", squashfsName, "-noappend", "-no-progress",
		"-comp", "zstd", "-Xcompression-level", "3"); err != nil {
		return err
	}
	if img.SquashfsSHA256, img.SquashfsSize, err = hashFile(w.path(squashfsName)); err != nil {
		return err
	}

	w.progress("making the disk")
	rootBytes, err := w.rootfs(ctx)
	if err != nil {
		return err
	}
	if err := w.esp(ctx); err != nil {
		return err
	}
	img.RawSize = (rootStart+tailSize)*sector + rootBytes
	if err := w.assemble(ctx, img.RawSize, rootBytes); err != nil {
		return err
	}
	w.progress("compressing the disk")
	if err := w.compress(ctx, img); err != nil {
		return err
	}
	sums := map[string]string{rawName: img.SHA256, squashfsName: img.SquashfsSHA256}
	for name, sum := range sums {
		if err := os.WriteFile(w.path(name+".sha256"), []byte(sum+"  "+name+"\n"), 0o644); err != nil {
			return err
		}
	}
	for _, f := range []string{"root.tar", "overlay.tar", "root.ext4", "esp.img", "disk.raw", "early.cfg", "core.img", "bootx64.efi"} {
		if err := os.Remove(w.path(f)); err != nil {
			return err
		}
	}
	return nil
}

// rootfs makes root.ext4: the tree and half as much room again.
func (w *work) rootfs(ctx context.Context) (int64, error) {
	out, err := w.inside(ctx, "du", "-s", "--block-size=1048576", "tree")
	if err != nil {
		return 0, err
	}
	used, err := strconv.ParseInt(strings.Fields(trimLine(out) + " x")[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("measure the tree: du said %q", trimLine(out))
	}
	size := (used + used/2 + 64) * mib
	f, err := os.Create(w.path("root.ext4"))
	if err != nil {
		return 0, err
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	_, err = w.inside(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-U", rootID, "-d", "tree",
		"-E", "root_owner=0:0,lazy_itable_init=0,hash_seed="+rootID, "root.ext4")
	return size, err
}

// esp makes esp.img with GRUB for UEFI in the removable-media place, which
// every firmware looks at without a boot entry.
func (w *work) esp(ctx context.Context) error {
	if err := os.WriteFile(w.path("early.cfg"), []byte(earlyCfg), 0o644); err != nil {
		return err
	}
	mods := append([]string{"fat"}, grubModules...)
	calls := [][]string{
		append([]string{"grub-mkimage", "-O", "x86_64-efi", "-p", "/EFI/BOOT", "-c", "early.cfg", "-o", "bootx64.efi"}, mods...),
		append([]string{"grub-mkimage", "-O", "i386-pc", "-p", "/boot/grub", "-c", "early.cfg", "-o", "core.img", "biosdisk"}, grubModules...),
		{"truncate", "-s", strconv.Itoa(espSize * sector), "esp.img"},
		{"mkfs.vfat", "-F", "32", "-n", "BAREROOT", "-i", "6b617265", "esp.img"},
		{"mmd", "-i", "esp.img", "::EFI", "::EFI/BOOT"},
		{"mcopy", "-i", "esp.img", "bootx64.efi", "::EFI/BOOT/BOOTX64.EFI"},
	}
	for _, c := range calls {
		if _, err := w.tool(ctx, c...); err != nil {
			return err
		}
	}
	return nil
}

// assemble makes disk.raw of the table, the boot code and the filesystems.
func (w *work) assemble(ctx context.Context, size, rootBytes int64) (err error) {
	disk, err := os.Create(w.path("disk.raw"))
	if err != nil {
		return err
	}
	defer func() {
		if cerr := disk.Close(); err == nil {
			err = cerr
		}
	}()
	if err := disk.Truncate(size); err != nil {
		return err
	}
	table := fmt.Sprintf("label: gpt\nlabel-id: %s\n"+
		"start=%d, size=%d, type=21686148-6449-6E6F-744E-656564454649, uuid=6B617265-726F-4F74-8000-000000000011, name=bios\n"+
		"start=%d, size=%d, type=U, uuid=6B617265-726F-4F74-8000-000000000012, name=esp\n"+
		"start=%d, size=%d, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=6B617265-726F-4F74-8000-000000000013, name=root\n",
		diskID, biosStart, biosSize, espStart, espSize, rootStart, rootBytes/sector)
	if _, err := w.run.Run(ctx, hosttool.Cmd{Args: []string{"sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", w.path("disk.raw")},
		Stdin: strings.NewReader(table)}); err != nil {
		return err
	}
	bootImg, err := os.ReadFile("/usr/lib/grub/i386-pc/boot.img")
	if err != nil {
		return fmt.Errorf("read GRUB's boot sector (package grub-pc-bin): %w", err)
	}
	coreImg, err := os.ReadFile(w.path("core.img"))
	if err != nil {
		return err
	}
	mbr, err := bootSector(bootImg, biosStart)
	if err != nil {
		return err
	}
	core, err := coreImage(coreImg, biosStart, biosSize)
	if err != nil {
		return err
	}
	if _, err := disk.WriteAt(mbr, 0); err != nil {
		return err
	}
	if _, err := disk.WriteAt(core, biosStart*sector); err != nil {
		return err
	}
	if err := copySparse(ctx, disk, espStart*sector, w.path("esp.img")); err != nil {
		return err
	}
	return copySparse(ctx, disk, rootStart*sector, w.path("root.ext4"))
}

// copySparse copies a file to off and leaves holes where it is zero.
func copySparse(ctx context.Context, dst *os.File, off int64, path string) error {
	src, err := os.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	buf := make([]byte, mib)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(src, buf)
		if !zero(buf[:n]) {
			if _, err := dst.WriteAt(buf[:n], off); err != nil {
				return err
			}
		}
		off += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// compress writes disk.raw.zst and takes both hashes in the same pass.
func (w *work) compress(ctx context.Context, img *Image) (err error) {
	src, err := os.Open(w.path("disk.raw"))
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(w.path(rawName))
	if err != nil {
		return err
	}
	defer func() {
		if cerr := dst.Close(); err == nil {
			err = cerr
		}
	}()
	zsum, rsum := sha256.New(), sha256.New()
	enc, err := zstd.NewWriter(io.MultiWriter(dst, zsum), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.MultiWriter(enc, rsum), sys.UntilDone(ctx, src)); err != nil {
		enc.Close()
		return err
	}
	if err := enc.Close(); err != nil {
		return err
	}
	st, err := dst.Stat()
	if err != nil {
		return err
	}
	img.ZstSize = st.Size()
	img.SHA256, img.RawSHA256 = hex.EncodeToString(zsum.Sum(nil)), hex.EncodeToString(rsum.Sum(nil))
	return dst.Sync()
}

func hashFile(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), n, err
}
