package elfdep

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	ld64   = "/lib64/ld-linux-x86-64.so.2"
	ld32   = "/lib/ld-linux.so.2"
	musl64 = "/lib/ld-musl-x86_64.so.1"
)

// glibc is the least a glibc program needs, in a merged /usr.
func glibc(more map[string]any) map[string]any {
	tree := map[string]any{
		"lib":                            "-> usr/lib",
		"lib64":                          "-> usr/lib64",
		"usr/lib64/ld-linux-x86-64.so.2": fake{soname: "ld-linux-x86-64.so.2"},
		"usr/lib64/libc.so.6":            fake{soname: "libc.so.6", needed: []string{"ld-linux-x86-64.so.2"}},
	}
	for k, v := range more {
		tree[k] = v
	}
	return tree
}

// short is a closure as lines: path, link target.
func short(deps []Dep) []string {
	var out []string
	for _, d := range deps {
		s := d.Path
		if d.Link != "" {
			s += " -> " + d.Link
		}
		out = append(out, s)
	}
	return out
}

func TestClosure(t *testing.T) {
	loader := []string{"lib64 -> usr/lib64", "usr/lib64/ld-linux-x86-64.so.2"}
	libc := append(loader, "usr/lib64/libc.so.6")
	prog := func(f fake) fake {
		f.interp = ld64
		return f
	}
	for name, tc := range map[string]struct {
		tree map[string]any
		ask  string // bin/prog if empty
		want []string
		err  string
	}{
		"static program": {
			tree: map[string]any{"bin/prog": fake{}},
			want: []string{"bin/prog"},
		},
		"data": {
			tree: map[string]any{"bin/prog": "text"},
			want: []string{"bin/prog"},
		},
		"empty file": {
			tree: map[string]any{"bin/prog": ""},
			want: []string{"bin/prog"},
		},
		"libc": {
			tree: glibc(map[string]any{"bin/prog": prog(fake{needed: []string{"libc.so.6"}})}),
			want: append([]string{"bin/prog"}, libc...),
		},
		"links on the way are kept, absolute ones stay inside": {
			tree: glibc(map[string]any{
				"bin/prog":              "-> /etc/alternatives/prog",
				"etc/alternatives/prog": "-> ../../usr/bin/real",
				"usr/bin/real":          prog(fake{needed: []string{"libx.so.1"}}),
				"usr/lib64/libx.so.1":   "-> /opt/x/libx.so.1.2",
				"opt/x":                 "-> x-1.2",
				"opt/x-1.2/libx.so.1.2": fake{soname: "libx.so.1"},
			}),
			want: append([]string{"bin/prog -> /etc/alternatives/prog", "etc/alternatives/prog -> ../../usr/bin/real", "usr/bin/real"},
				append(loader, "usr/lib64/libx.so.1 -> /opt/x/libx.so.1.2", "opt/x -> x-1.2", "opt/x-1.2/libx.so.1.2")...),
		},
		"a link that points out of the sysroot stays inside": {
			tree: glibc(map[string]any{"bin/prog": "-> ../../../../../../etc/real", "etc/real": "text"}),
			want: []string{"bin/prog -> ../../../../../../etc/real", "etc/real"},
		},
		"a loop of links": {
			tree: map[string]any{"bin/prog": "-> prog2", "bin/prog2": "-> prog"},
			err:  "too many symbolic links",
		},
		"the same library by two sonames": {
			tree: glibc(map[string]any{
				"bin/prog":              prog(fake{needed: []string{"libx.so", "libx.so.1", "libc.so.6"}}),
				"usr/lib64/libx.so":     "-> libx.so.1",
				"usr/lib64/libx.so.1":   "-> libx.so.1.2",
				"usr/lib64/libx.so.1.2": fake{soname: "libx.so.1"},
			}),
			want: append(append([]string{"bin/prog"}, loader...), "usr/lib64/libx.so -> libx.so.1", "usr/lib64/libx.so.1 -> libx.so.1.2", "usr/lib64/libx.so.1.2", "usr/lib64/libc.so.6"),
		},
		"a soname that no file has is satisfied by what is loaded": {
			tree: glibc(map[string]any{
				"bin/prog":          prog(fake{needed: []string{"libx.so", "libx.so.1"}}),
				"usr/lib64/libx.so": fake{soname: "libx.so.1"},
			}),
			want: append([]string{"bin/prog"}, append(loader, "usr/lib64/libx.so")...),
		},
		"libraries that need each other": {
			tree: glibc(map[string]any{
				"bin/prog":            prog(fake{needed: []string{"liba.so.1"}}),
				"usr/lib64/liba.so.1": fake{soname: "liba.so.1", needed: []string{"libb.so.1"}},
				"usr/lib64/libb.so.1": fake{soname: "libb.so.1", needed: []string{"liba.so.1"}},
			}),
			want: append([]string{"bin/prog"}, append(loader, "usr/lib64/liba.so.1", "usr/lib64/libb.so.1")...),
		},
		"missing library": {
			tree: glibc(map[string]any{
				"bin/prog":            prog(fake{needed: []string{"liba.so.1"}}),
				"usr/lib64/liba.so.1": fake{needed: []string{"libgone.so.3"}},
			}),
			err: "bin/prog needs libgone.so.3 (named by usr/lib64/liba.so.1), which is not there",
		},
		"missing loader": {
			tree: map[string]any{"bin/prog": prog(fake{})},
			err:  "bin/prog needs /lib64/ld-linux-x86-64.so.2, which is not there",
		},
		"missing program": {
			tree: map[string]any{"etc/x": ""},
			err:  "bin/prog is not there",
		},
		"a folder": {
			tree: map[string]any{"bin/prog/x": ""},
			err:  "not a regular file",
		},
		"RPATH is inherited": {
			tree: glibc(map[string]any{
				"bin/prog":            prog(fake{needed: []string{"liba.so.1"}, rpath: "/opt/p:/opt/q"}),
				"opt/p/liba.so.1":     fake{needed: []string{"libb.so.1"}},
				"opt/q/libb.so.1":     fake{},
				"usr/lib64/libb.so.1": fake{},
			}),
			want: append([]string{"bin/prog"}, append(loader, "opt/p/liba.so.1", "opt/q/libb.so.1")...),
		},
		"RUNPATH is not inherited": {
			tree: glibc(map[string]any{
				"bin/prog":            prog(fake{needed: []string{"liba.so.1"}, runpath: "/opt/p"}),
				"opt/p/liba.so.1":     fake{needed: []string{"libb.so.1"}},
				"opt/p/libb.so.1":     fake{},
				"usr/lib64/libb.so.1": fake{},
			}),
			want: append([]string{"bin/prog"}, append(loader, "opt/p/liba.so.1", "usr/lib64/libb.so.1")...),
		},
		"RUNPATH is not inherited: missing": {
			tree: glibc(map[string]any{
				"bin/prog":        prog(fake{needed: []string{"liba.so.1"}, runpath: "/opt/p"}),
				"opt/p/liba.so.1": fake{needed: []string{"libb.so.1"}},
				"opt/p/libb.so.1": fake{},
			}),
			err: "bin/prog needs libb.so.1 (named by opt/p/liba.so.1)",
		},
		"RPATH does not count beside RUNPATH": {
			tree: glibc(map[string]any{
				"bin/prog":            prog(fake{needed: []string{"liba.so.1"}, rpath: "/opt/p", runpath: "/opt/q"}),
				"opt/p/liba.so.1":     fake{},
				"usr/lib64/liba.so.1": fake{},
			}),
			want: append([]string{"bin/prog"}, append(loader, "usr/lib64/liba.so.1")...),
		},
		"a library with RUNPATH does not see the program's RPATH": {
			tree: glibc(map[string]any{
				"bin/prog":            prog(fake{needed: []string{"liba.so.1"}, rpath: "/opt/p"}),
				"opt/p/liba.so.1":     fake{needed: []string{"libb.so.1"}, runpath: "/opt/q"},
				"opt/p/libb.so.1":     fake{},
				"usr/lib64/libb.so.1": fake{},
			}),
			want: append([]string{"bin/prog"}, append(loader, "opt/p/liba.so.1", "usr/lib64/libb.so.1")...),
		},
		"ORIGIN is that of the file that says it": {
			tree: glibc(map[string]any{
				"bin/prog":              "-> ../opt/p/bin/prog",
				"opt/p/bin/prog":        prog(fake{needed: []string{"liba.so.1"}, runpath: "$ORIGIN/../lib"}),
				"opt/p/lib/liba.so.1":   fake{needed: []string{"libb.so.1"}, runpath: "${ORIGIN}/b"},
				"opt/p/lib/b/libb.so.1": fake{},
			}),
			want: append([]string{"bin/prog -> ../opt/p/bin/prog", "opt/p/bin/prog"}, append(loader, "opt/p/lib/liba.so.1", "opt/p/lib/b/libb.so.1")...),
		},
		"LIB and PLATFORM": {
			tree: glibc(map[string]any{
				"bin/prog":                     prog(fake{needed: []string{"liba.so.1", "libb.so.1"}, runpath: "/opt/$LIB:/opt/${PLATFORM}/x"}),
				"opt/lib64/liba.so.1":          fake{},
				"opt/x86_64/x/libb.so.1":       fake{},
				"opt/lib/i386-linux-gnu/x.txt": "",
			}),
			want: append([]string{"bin/prog"}, append(loader, "opt/lib64/liba.so.1", "opt/x86_64/x/libb.so.1")...),
		},
		"relative and empty paths are not searched": {
			tree: glibc(map[string]any{
				"bin/prog":      prog(fake{needed: []string{"liba.so.1"}, runpath: ":opt:"}),
				"liba.so.1":     fake{},
				"opt/liba.so.1": fake{},
			}),
			err: "needs liba.so.1",
		},
		"a library named by its path": {
			tree: glibc(map[string]any{
				"bin/prog":        prog(fake{needed: []string{"/opt/liba.so", "$ORIGIN/../opt/libb.so"}}),
				"opt/liba.so":     fake{},
				"opt/libb.so":     fake{},
				"usr/lib64/opt/x": "",
			}),
			want: append([]string{"bin/prog"}, append(loader, "opt/liba.so", "opt/libb.so")...),
		},
		"of another machine is passed over": {
			tree: glibc(map[string]any{
				"bin/prog":              prog(fake{needed: []string{"liba.so.1"}, rpath: "/opt/32:/opt/arm:/opt/text:/opt/dir:/opt/64"}),
				"opt/32/liba.so.1":      fake{abi: i386},
				"opt/arm/liba.so.1":     fake{abi: arm64},
				"opt/text/liba.so.1":    "/* GNU ld script */",
				"opt/dir/liba.so.1/dir": "",
				"opt/64/liba.so.1":      fake{},
			}),
			want: append([]string{"bin/prog"}, append(loader, "opt/64/liba.so.1")...),
		},
		"a damaged library is an error that says so": {
			tree: glibc(map[string]any{
				"bin/prog":            prog(fake{needed: []string{"liba.so.1"}}),
				"usr/lib64/liba.so.1": "\x7fELF\x02\x01\x01 and then nothing",
			}),
			err: "bin/prog needs liba.so.1, which is not there: read",
		},
		"no default folders": {
			tree: glibc(map[string]any{"bin/prog": prog(fake{needed: []string{"libc.so.6"}, noDef: true})}),
			err:  "needs libc.so.6",
		},
		"ld.so.conf with includes": {
			tree: glibc(map[string]any{
				"bin/prog":                prog(fake{needed: []string{"liba.so.1", "libb.so.1", "libc.so.6"}}),
				"etc/ld.so.conf":          "# mine\ninclude ld.so.conf.d/*.conf\n/opt/b # more\ninclude /etc/ld.so.conf\n",
				"etc/ld.so.conf.d/a.conf": "/opt/a=libc6\nhwcap 0 nosegneg\n",
				"opt/a/liba.so.1":         fake{},
				"opt/b/libb.so.1":         fake{},
				"opt/b/liba.so.1":         fake{},
			}),
			want: append([]string{"bin/prog"}, append(loader, "opt/a/liba.so.1", "opt/b/libb.so.1", "usr/lib64/libc.so.6")...),
		},
		"faster variants": {
			tree: glibc(map[string]any{
				"bin/prog":              prog(fake{needed: []string{"liba.so.1"}}),
				"usr/lib64/liba.so.1":   "-> liba.so.1.0",
				"usr/lib64/liba.so.1.0": fake{},
				"usr/lib64/glibc-hwcaps/x86-64-v3/liba.so.1":   "-> liba.so.1.0",
				"usr/lib64/glibc-hwcaps/x86-64-v3/liba.so.1.0": fake{needed: []string{"libc.so.6"}},
				"usr/lib64/glibc-hwcaps/x86-64-v4/libother.so": fake{},
				"usr/lib64/glibc-hwcaps/x86-64-v4/liba.so.1":   fake{abi: i386},
			}),
			want: append([]string{"bin/prog"}, append(loader, "usr/lib64/liba.so.1 -> liba.so.1.0", "usr/lib64/liba.so.1.0",
				"usr/lib64/glibc-hwcaps/x86-64-v3/liba.so.1 -> liba.so.1.0", "usr/lib64/glibc-hwcaps/x86-64-v3/liba.so.1.0", "usr/lib64/libc.so.6")...),
		},
		"only a faster variant is not enough": {
			tree: glibc(map[string]any{
				"bin/prog": prog(fake{needed: []string{"liba.so.1"}}),
				"usr/lib64/glibc-hwcaps/x86-64-v3/liba.so.1": fake{},
			}),
			err: "needs liba.so.1",
		},
		"multiarch": {
			tree: map[string]any{
				"bin/prog":                   fake{interp: ld64, needed: []string{"libc.so.6"}},
				"lib64/ld-linux-x86-64.so.2": "-> ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
				"lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": fake{soname: "ld-linux-x86-64.so.2"},
				"lib/x86_64-linux-gnu/libc.so.6":            fake{},
				"lib/i386-linux-gnu/libc.so.6":              fake{abi: i386},
			},
			want: []string{"bin/prog", "lib64/ld-linux-x86-64.so.2 -> ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6"},
		},
		"32 bits beside 64": {
			tree: glibc(map[string]any{
				"bin/prog":                              fake{abi: i386, interp: ld32, needed: []string{"libstdc++.so.6", "libc.so.6"}},
				"usr/lib/ld-linux.so.2":                 fake{abi: i386, soname: "ld-linux.so.2"},
				"usr/lib32/libc.so.6":                   fake{abi: i386, needed: []string{"ld-linux.so.2"}},
				"usr/lib/i386-linux-gnu/libstdc++.so.6": fake{abi: i386},
				"usr/lib64/libstdc++.so.6":              fake{},
			}),
			want: []string{"bin/prog", "lib -> usr/lib", "usr/lib/ld-linux.so.2", "usr/lib/i386-linux-gnu/libstdc++.so.6", "usr/lib32/libc.so.6"},
		},
		"big endian": {
			tree: map[string]any{
				"bin/prog":        fake{abi: s390x, interp: "/lib/ld64.so.1", needed: []string{"libc.so.6"}},
				"lib/ld64.so.1":   fake{abi: s390x},
				"lib64/libc.so.6": fake{abi: s390x},
			},
			want: []string{"bin/prog", "lib/ld64.so.1", "lib64/libc.so.6"},
		},
		"loader of another prefix": {
			tree: map[string]any{
				"bin/prog":                     fake{interp: "/nix/lib/ld-linux-x86-64.so.2", needed: []string{"libc.so.6"}},
				"nix/lib/ld-linux-x86-64.so.2": fake{},
				"nix/lib/libc.so.6":            fake{},
			},
			want: []string{"bin/prog", "nix/lib/ld-linux-x86-64.so.2", "nix/lib/libc.so.6"},
		},
		"musl": {
			tree: map[string]any{
				"bin/prog":                fake{interp: musl64, needed: []string{"libc.musl-x86_64.so.1", "libpthread.so.0", "libz.so.1"}},
				"lib/ld-musl-x86_64.so.1": fake{soname: "libc.musl-x86_64.so.1"},
				"usr/lib/libz.so.1":       "-> libz.so.1.3",
				"usr/lib/libz.so.1.3":     fake{needed: []string{"libc.musl-x86_64.so.1"}},
			},
			want: []string{"bin/prog", "lib/ld-musl-x86_64.so.1", "usr/lib/libz.so.1 -> libz.so.1.3", "usr/lib/libz.so.1.3"},
		},
		"musl: path file, RUNPATH is inherited": {
			tree: map[string]any{
				"bin/prog":                fake{interp: musl64, needed: []string{"liba.so", "libz.so.1"}, runpath: "/opt/a"},
				"lib/ld-musl-x86_64.so.1": fake{},
				"etc/ld-musl-x86_64.path": "/opt/lib:/opt/more\n/lib\n",
				"opt/more/libz.so.1":      fake{},
				"usr/lib/libz.so.1":       fake{},
				"opt/a/liba.so":           fake{needed: []string{"libb.so"}},
				"opt/a/libb.so":           fake{},
			},
			want: []string{"bin/prog", "lib/ld-musl-x86_64.so.1", "opt/a/liba.so", "opt/more/libz.so.1", "opt/a/libb.so"},
		},
		"musl: a library by itself": {
			tree: map[string]any{
				"lib/libz.so.1":            fake{needed: []string{"libc.musl-x86_64.so.1"}},
				"lib/ld-musl-aarch64.so.1": fake{abi: arm64},
				"lib/ld-musl-x86_64.so.1":  fake{},
			},
			ask:  "/lib/libz.so.1",
			want: []string{"lib/libz.so.1", "lib/ld-musl-x86_64.so.1"},
		},
		"script": {
			tree: glibc(map[string]any{
				"bin/prog": "#! /bin/sh -e\n",
				"bin/sh":   "-> dash",
				"bin/dash": prog(fake{}),
			}),
			want: append([]string{"bin/prog", "bin/sh -> dash", "bin/dash"}, loader...),
		},
		"env's argument is not followed": {
			tree: map[string]any{"bin/prog": "#!/usr/bin/env python3\n", "usr/bin/env": fake{}, "usr/bin/python3": fake{}},
			want: []string{"bin/prog", "usr/bin/env"},
		},
		"missing interpreter": {
			tree: map[string]any{"bin/prog": "#!/bin/awk -f\n"},
			err:  "bin/prog needs /bin/awk, which is not there",
		},
		"interpreter with a missing library": {
			tree: glibc(map[string]any{"bin/prog": "#!/bin/sh\n", "bin/sh": prog(fake{needed: []string{"libx.so"}})}),
			err:  "bin/prog needs libx.so (named by bin/sh), which is not there",
		},
		"relative interpreter": {
			tree: map[string]any{"bin/prog": "#!sh\n", "sh": ""},
			err:  "an interpreter needs an absolute path",
		},
		"script that runs itself": {
			tree: map[string]any{"bin/prog": "#!/bin/prog\n"},
			want: []string{"bin/prog"},
		},
		"a shebang of nothing": {
			tree: map[string]any{"bin/prog": "#!\n"},
			want: []string{"bin/prog"},
		},
		"opened by name": {
			tree: glibc(map[string]any{
				"bin/prog": prog(fake{dlopen: `[{"soname":["liba.so.2","liba.so.1"],"feature":"a","priority":"required"},
					{"soname":["libb.so.1"],"feature":"b"},{"soname":["libgone.so.1"],"priority":"recommended"},
					{"soname":["libs.so.1"],"priority":"suggested"}]`}),
				"usr/lib64/liba.so.1": fake{needed: []string{"libc.so.6"}},
				"usr/lib64/libb.so.1": fake{},
				"usr/lib64/libs.so.1": fake{},
			}),
			want: append([]string{"bin/prog"}, append(loader, "usr/lib64/liba.so.1", "usr/lib64/libb.so.1", "usr/lib64/libc.so.6")...),
		},
		"opened by name, required and missing": {
			tree: glibc(map[string]any{"bin/prog": prog(fake{dlopen: `[{"soname":["liba.so.2","liba.so.1"],"priority":"required"}]`})}),
			err:  "bin/prog needs liba.so.2 or liba.so.1, which is not there",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ask := tc.ask
			if ask == "" {
				ask = "bin/prog"
			}
			got, err := New(files(t, tc.tree)).Closure(ask)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, short(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDep(t *testing.T) {
	root := files(t, glibc(map[string]any{"bin/prog": fake{interp: ld64, needed: []string{"libc.so.6"}}}))
	if err := os.Chmod(filepath.Join(root, "bin/prog"), 0o755|fs.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	got, err := New(root).Closure("/bin/prog")
	if err != nil {
		t.Fatal(err)
	}
	want := []Dep{
		{"bin/prog", "", 0o755 | fs.ModeSetuid, root + "/bin/prog", ""},
		{"lib64", "usr/lib64", 0o777 | fs.ModeSymlink, root + "/lib64", "loader of bin/prog"},
		{"usr/lib64/ld-linux-x86-64.so.2", "", 0o755, root + "/usr/lib64/ld-linux-x86-64.so.2", "loader of bin/prog"},
		{"usr/lib64/libc.so.6", "", 0o755, root + "/usr/lib64/libc.so.6", "needed by bin/prog"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestMissingIsNotExist(t *testing.T) {
	r := New(files(t, map[string]any{"bin/prog": fake{needed: []string{"libx.so"}}}))
	_, err := r.Closure("bin/prog")
	var miss *MissingError
	if !errors.As(err, &miss) || !errors.Is(err, fs.ErrNotExist) || miss.Program != "bin/prog" || miss.Name != "libx.so" {
		t.Errorf("%#v", err)
	}
}

func TestFind(t *testing.T) {
	r := New(files(t, map[string]any{
		"bin":            "-> usr/bin",
		"usr/bin/prog":   "x",
		"sbin/prog":      "x",
		"usr/bin/dir/x":  "",
		"usr/bin/abs":    "-> /sbin/prog",
		"usr/bin/dangle": "-> nowhere",
	}))
	for name, want := range map[string][]string{
		"prog":      {"usr/bin/prog", "sbin/prog"},
		"abs":       {"usr/bin/abs"},
		"/bin/prog": {"bin/prog"},
		"dir":       nil,
		"dangle":    nil,
		"gone":      nil,
		"..":        nil,
		"":          nil,
	} {
		got, err := r.Find(name)
		if d := cmp.Diff(want, got); d != "" || (err == nil) == (want == nil) {
			t.Errorf("%q: %v %s", name, err, d)
		}
	}
}

func TestNSS(t *testing.T) {
	r := New(files(t, glibc(map[string]any{
		"bin/prog":                  fake{interp: ld64, needed: []string{"libc.so.6"}},
		"bin/static":                fake{},
		"usr/lib64/libnss_sss.so.2": fake{needed: []string{"libc.so.6"}},
		"usr/lib64/libnss_dns.so.2": fake{},
		"usr/lib/libnss_dns.so.2":   fake{abi: i386},
	})))
	for name, tc := range map[string]struct {
		prog     string
		services []string
		want     []string
	}{
		"all":    {"bin/prog", []string{"files", "sss", "dns"}, []string{"usr/lib64/libnss_sss.so.2", "usr/lib64/libc.so.6", "usr/lib64/ld-linux-x86-64.so.2", "usr/lib64/libnss_dns.so.2"}},
		"one":    {"bin/prog", []string{"dns"}, []string{"usr/lib64/libnss_dns.so.2"}},
		"static": {"bin/static", []string{"dns"}, nil},
	} {
		got, err := r.NSS(tc.prog, tc.services...)
		if d := cmp.Diff(tc.want, short(got)); d != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, d)
		}
	}
}
