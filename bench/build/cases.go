package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// benchCase is one table: the program first, then its peers.
type benchCase struct {
	name, goal string
	subjects   func(context.Context, *settings) ([]*subject, error)
}

var cases = [...]benchCase{
	{"generic", "goal 1.2 CPU s, 45.5 MiB, 200 MiB of memory, with the modules that booster takes", generic},
	{"universal", "goal 1.0 CPU s, with the modules that booster takes", universal},
	{"minimal", "goal 0.25 CPU s, 5 MiB without busybox, 6 with", minimal},
	{"tripleo", "goal 1.4 CPU s; dracut -N with 14 programs and the network", tripleo},
	{"warm", "goal 0.15 s wall; one option changes from round to round, the cache has the rest. No peer keeps work", warm},
	{"best", "goal 38 MiB, and from the second build on as fast as the default", best},
}

func caseNames() []string {
	var out []string
	for _, c := range cases {
		out = append(out, c.name)
	}
	return out
}

// build is "bareroot build" with more words.
func (s *settings) build(name string, words ...string) *subject {
	return &subject{
		name: name, output: last("-o"),
		args: same(append([]string{s.bareroot, "build", "--sysroot", s.sysroot, "--kver", s.kver, "--busybox", s.busybox, "--config", os.DevNull}, words...)...),
	}
}

func (s *settings) cold1(name string, words ...string) *subject {
	return s.build("bareroot, "+name, append([]string{"--no-cache"}, words...)...)
}

// bootersSet builds with the modules that booster took, if it is there.
func (s *settings) boostersSet(ctx context.Context, b *subject) *subject {
	if b.why != "" {
		return &subject{name: "bareroot, booster's modules", why: "booster is not measured"}
	}
	file := filepath.Join(s.tmp, "list")
	defer os.Remove(file)
	if _, err := b.run(ctx, 0, file); err != nil {
		b.why = err.Error()
		return &subject{name: "bareroot, booster's modules", why: "booster failed"}
	}
	names, err := modulesOf(file)
	if err != nil {
		return &subject{name: "bareroot, booster's modules", why: err.Error()}
	}
	words := []string{"--drivers", strings.Join(names, " ")}
	name := fmt.Sprintf("booster's %d modules", len(names))
	if n, err := s.count(ctx, words); err == nil {
		name += fmt.Sprintf(" (%d with soft dependencies)", n)
	}
	return s.cold1(name, words...)
}

// count builds once and returns the number of modules.
func (s *settings) count(ctx context.Context, words []string) (int, error) {
	file := filepath.Join(s.tmp, "count")
	defer os.Remove(file)
	args := append(s.build("", words...).args(0), "--no-cache", "--json", "-o", file)
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
	if err != nil {
		return 0, err
	}
	var res struct{ Modules int }
	return res.Modules, json.Unmarshal(out, &res)
}

func generic(ctx context.Context, s *settings) ([]*subject, error) {
	b := s.boosterPeer("booster", boosterGeneric)
	return []*subject{
		s.boostersSet(ctx, b),
		s.cold1("its own generic set"),
		s.cold1("its own generic set, discover and deploy", "--role", "discover", "--role", "deploy"),
		b,
		s.dracutPeer("dracut", "--add", dracutGeneric),
		s.dracutNGPeer("dracut-ng", "--add", dracutGeneric),
		s.mkinitramfsPeer("mkinitramfs, MODULES=most", "most", ""),
	}, nil
}

func universal(ctx context.Context, s *settings) ([]*subject, error) {
	b := s.boosterPeer("booster", "universal: true\n")
	return []*subject{s.boostersSet(ctx, b), b}, nil
}

const small = "virtio_pci virtio_blk ext4"

func minimal(_ context.Context, s *settings) ([]*subject, error) {
	return []*subject{
		s.cold1("busybox", "--drivers", small),
		s.cold1("without busybox", "--drivers", small, "--omit-feature", "shell"),
		s.boosterPeer("booster", "modules: -*,virtio_pci,virtio_blk,ext4\nmodules_force_load: crc32c_generic\n"),
		s.dracutPeer("dracut", "-m", dracutSmall, "--drivers", small),
		s.dracutNGPeer("dracut-ng", "-m", dracutSmall, "--drivers", small),
		s.mkinitramfsPeer("mkinitramfs, MODULES=list", "list", strings.ReplaceAll(small, " ", "\n")+"\n"),
	}, nil
}

// tripleoWords are the first seed's, which names programs of a Red Hat system.
var tripleoWords = [...]string{
	"--install", "tail head awk ifconfig cut expr route ping tgtd tgtadm nc wget curl tftp",
	"--add-drivers", "virtio virtio_net virtio_blk", "--add", "network",
}

// ourDracut is "bareroot dracut -N" with its cache in the folder cache.
func (s *settings) ourDracut(name, cache string, words ...string) *subject {
	sub := s.dracutLike("bareroot dracut, "+name, []string{s.bareroot, "dracut"}, words...)
	sub.env = append(sub.env, "XDG_CACHE_HOME="+cache)
	return sub
}

func tripleo(_ context.Context, s *settings) ([]*subject, error) {
	cache := filepath.Join(s.tmp, "tripleo")
	ours := s.ourDracut("empty cache", cache, tripleoWords[:]...)
	ours.before = func(context.Context) error { return os.RemoveAll(cache) }
	return []*subject{ours, s.dracutPeer("dracut", tripleoWords[:]...), s.dracutNGPeer("dracut-ng", tripleoWords[:]...)}, nil
}

// changing adds words that differ from round to round; the cache knows round -1.
func (sub *subject) changing(words func(round int) []string) *subject {
	args := sub.args
	sub.args = func(round int) []string { return append(slices.Clone(args(round)), words(round)...) }
	sub.first = func(ctx context.Context, file string) error {
		_, err := sub.run(ctx, -1, file)
		return err
	}
	return sub
}

func option(name, format string) func(int) []string {
	return func(round int) []string { return []string{name, fmt.Sprintf(format, round)} }
}

// oneLess leaves out another driver in each round.
func oneLess(round int) []string {
	names := [...]string{"floppy", "be2net", "qla3xxx", "e1000", "tg3", "nbd", "ice", "megaraid_sas", "r8169", "jfs", "hpsa"}
	return []string{"--omit-drivers", names[(round+1)%len(names)]}
}

func warm(_ context.Context, s *settings) ([]*subject, error) {
	cached := func(name string, words ...string) *subject {
		return s.build("bareroot, "+name, append([]string{"--cache-dir", filepath.Join(s.tmp, "warm")}, words...)...)
	}
	line := option("--cmdline", "round=%d")
	agents := []string{"--role", "discover", "--role", "deploy"}
	programs := func(round int) []string {
		return []string{"--install", []string{"find", "sort", "grep", "sed", "tar"}[(round+1)%5]}
	}
	return []*subject{
		cached("generic, command line").changing(line),
		cached("generic, one driver less").changing(oneLess),
		cached("generic, another program", "--sysroot", "/", "--modules-dir", filepath.Join(s.sysroot, "lib/modules")).changing(programs),
		cached("generic, discover and deploy, command line", agents...).changing(line),
		cached("generic, a boot set, command line", append(agents, "--format", "dir")...).changing(line),
		cached("minimal, command line", "--drivers", small).changing(line),
		s.ourDracut("tripleo, command line", filepath.Join(s.tmp, "warm-dracut"), tripleoWords[:]...).changing(option("--kernel-cmdline", "round=%d")),
	}, nil
}

func best(_ context.Context, s *settings) ([]*subject, error) {
	cached := func(name, dir string, words ...string) *subject {
		return s.build("bareroot, "+name, append([]string{"--cache-dir", filepath.Join(s.tmp, dir)}, words...)...)
	}
	first := cached("best, empty cache", "best-new", "--compress", "best")
	first.before = func(context.Context) error { return os.RemoveAll(filepath.Join(s.tmp, "best-new")) }
	return []*subject{
		cached("best, command line", "best", "--compress", "best").changing(option("--cmdline", "round=%d")),
		cached("default, command line", "best-default").changing(option("--cmdline", "round=%d")),
		first,
	}, nil
}

// printPeers names the programs and their versions.
func (s *settings) printPeers(ctx context.Context) {
	for _, c := range [][]string{
		{s.bareroot, "version"}, {"dpkg-query", "-W", "-f", "dracut-core ${Version}", "dracut-core"},
		{"dpkg-query", "-W", "-f", "initramfs-tools ${Version}", "initramfs-tools"}, {"zstd", "--version"},
	} {
		out, err := exec.CommandContext(ctx, c[0], c[1:]...).Output()
		if line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n")); err == nil && len(line) > 0 {
			fmt.Printf("%s\n", line)
		}
	}
}
