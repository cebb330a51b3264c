package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"bareroot/internal/cpio"
)

// Sets of the peers that are nearest to ours.
const (
	boosterGeneric = "universal: true\nnetwork:\n  dhcp: on\nenable_lvm: true\nenable_mdraid: true\n" +
		"modules: kernel/drivers/block/,kernel/drivers/nvme/,kernel/drivers/message/,kernel/drivers/mmc/\n"
	dracutGeneric = "mdraid lvm dm dmsquash-live livenet nbd nfs network"
	dracutSmall   = "bash base fs-lib kernel-modules rootfs-block udev-rules"
)

func (s *settings) boosterPeer(name, config string) *subject {
	sub := &subject{name: name, output: last()}
	if s.booster == "" {
		sub.why = "-booster names no folder with it"
		return sub
	}
	dir, err := os.MkdirTemp(s.tmp, "booster-")
	if err != nil {
		sub.why = err.Error()
		return sub
	}
	mdadm := filepath.Join(dir, "mdadm.conf")
	if strings.Contains(config, "mdraid") {
		config += "mdraid_config_path: " + mdadm + "\n"
	}
	err = errors.Join(os.WriteFile(mdadm, nil, 0o644), os.WriteFile(filepath.Join(dir, "booster.yaml"), []byte(config), 0o644))
	if err == nil {
		_, err = os.Stat(filepath.Join(s.booster, "booster"))
	}
	if err != nil {
		sub.why = err.Error()
		return sub
	}
	sub.args = same(filepath.Join(s.booster, "booster"), "build", "-f", "--init-binary", filepath.Join(s.booster, "init"),
		"--kernel-version", s.kver, "--modules-dir", filepath.Join(s.sysroot, "lib/modules", s.kver), "--config", filepath.Join(dir, "booster.yaml"))
	return sub
}

// dracutLike is a program with dracut's command line, without this machine's
// configuration.
func (s *settings) dracutLike(name string, program []string, words ...string) *subject {
	empty := filepath.Join(s.tmp, "empty")
	sub := &subject{name: name, why: s.noPeers, output: func(file string) []string { return []string{file, s.kver} }}
	if err := os.MkdirAll(empty, 0o755); err != nil {
		sub.why = err.Error()
	}
	sub.args = same(slices.Concat(program, []string{"-N", "-f", "-q", "-c", os.DevNull, "--confdir", empty, "--tmpdir", s.tmp}, words)...)
	return sub
}

func (s *settings) dracutPeer(name string, words ...string) *subject {
	tool, err := exec.LookPath("dracut")
	sub := s.dracutLike(name, []string{tool}, words...)
	if err != nil {
		sub.why = "it is not installed"
	}
	return sub
}

func (s *settings) dracutNGPeer(name string, words ...string) *subject {
	script := filepath.Join(s.dracutNG, "dracut.sh")
	sub := s.dracutLike(name, []string{script, "-l"}, words...)
	sub.dir = s.dracutNG
	if s.dracutNG == "" {
		sub.why = "-dracut-ng names no tree of it"
	} else if _, err := os.Stat(filepath.Join(s.dracutNG, "dracut-install")); err != nil {
		sub.why = fmt.Sprintf("%s is not built: %v", s.dracutNG, err)
	}
	return sub
}

func (s *settings) mkinitramfsPeer(name, modules, list string) *subject {
	sub := &subject{name: name, why: s.noPeers, output: last("-o")}
	tool, err := exec.LookPath("mkinitramfs")
	if err != nil {
		sub.why = "it is not installed"
		return sub
	}
	conf, err := os.MkdirTemp(s.tmp, "initramfs-tools-")
	if err == nil {
		err = os.CopyFS(conf, os.DirFS("/etc/initramfs-tools"))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(conf, "conf.d/bench"), []byte("MODULES="+modules+"\n"), 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(conf, "modules"), []byte(list), 0o644)
	}
	if err != nil {
		sub.why = err.Error()
	}
	sub.args = func(int) []string { return []string{tool, "-d", conf} }
	sub.output = func(file string) []string { return []string{"-o", file, s.kver} }
	return sub
}

// modulesOf lists the kernel modules of a ramdisk of one archive.
func modulesOf(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := bufio.NewReader(f)
	head, err := b.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	var r io.Reader = b
	switch {
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		if r, err = gzip.NewReader(b); err != nil {
			return nil, err
		}
	}
	archive := cpio.NewReader(r)
	var out []string
	for {
		h, err := archive.Next()
		if err == io.EOF {
			if len(out) == 0 {
				return nil, fmt.Errorf("%s holds no kernel module", file)
			}
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		if name, ok := strings.CutSuffix(path.Base(h.Name), ".ko"); ok {
			out = append(out, name)
		}
	}
}
