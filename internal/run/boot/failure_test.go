package boot

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bareroot/internal/cmdline"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/hook"
	"bareroot/internal/run/rootfs"
)

// Every failure gets three commands, and those of its kind.
func TestAdvise(t *testing.T) {
	for name, c := range map[string]struct {
		stage string
		err   error
		line  string
		s     situation
		want  string // of what is missing
		try   string // one of the commands
	}{
		"no root":          {"initqueue", fmt.Errorf("x: %w", rootfs.ErrNone), "", situation{}, "a root:", "fix.conf"},
		"device":           {"initqueue", errors.New("find root LABEL=x: not there within 30s: LABEL=x"), "root=LABEL=x", situation{}, "the device of root=LABEL=x", "blkid"},
		"network":          {"initqueue", errors.New("no network"), "root=live:http://h/x", situation{needNet: true}, "a network", "ip link"},
		"server":           {"initqueue", errors.New("refused"), "", situation{needNet: true, online: true, server: "http://s"}, "an answer of the server http://s", "wget -O- http://s/"},
		"image":            {"initqueue", errors.New("404"), "root=live:http://u:geheim@h/x", situation{needNet: true, online: true, netRoot: true}, "the image", "http://u:***@h/x"},
		"filesystem":       {"mount", errors.New("bad superblock"), "root=/dev/vda", situation{}, "a filesystem on root=/dev/vda", "dmesg"},
		"init":             {"pre-pivot", errors.New("no init"), "", situation{}, "a complete system", "chroot /sysroot"},
		"command line":     {"cmdline", errors.New("ip=x"), "", situation{}, "a command line", "/proc/cmdline"},
		"a hook":           {"pre-mount", &StageError{"pre-mount", &hook.Error{Hook: "/h/x.sh", Stage: "pre-mount", How: "exit code 1"}}, "", situation{}, "/h/x.sh", "sh -x /h/x.sh"},
		"something else":   {"pre-udev", errors.New("boom"), "", situation{}, "", "boot.log"},
		"unknown in queue": {"initqueue", errors.New("boom"), "root=nbd:h:1", situation{netRoot: true}, "", "dmesg"},
	} {
		c.s.line = cmdline.Parse(c.line, "t")
		a := advise(&StageError{c.stage, c.err}, c.s)
		if !strings.Contains(a.missing, c.want) || (c.want == "") != (a.missing == "") {
			t.Errorf("%s: missing %q", name, a.missing)
		}
		if len(a.try) != 3 || !strings.Contains(strings.Join(a.try, "\n"), c.try) {
			t.Errorf("%s: try %q", name, a.try)
		}
	}
}

func TestScreen(t *testing.T) {
	s := screen(&StageError{"mount", errors.New("no device\nreally \x1b[2J")}, []string{"network: up"}, advice{"a disk", []string{"blkid"}}, "")
	for _, want := range []string{"stage mount", "  no device\n", "  really ?[2J", "network: up", "a disk", "  blkid\n", "tries the stage again", "rdsosreport.txt"} {
		if !strings.Contains(s, want) {
			t.Errorf("the first screen lacks %q:\n%s", want, s)
		}
	}
	if s := screen(&StageError{"mount", errors.New("x")}, nil, advice{}, "poweroff"); !strings.Contains(s, "means poweroff") || strings.Contains(s, "missing") {
		t.Error(s)
	}
}

// No secret of the command line or the session is in what goes into a report.
func TestHideSecrets(t *testing.T) {
	b := &Boot{line: cmdline.Parse(`root=LABEL=x cifspass="two words" rd.iscsi.password=s3cret netroot=iscsi:joe:geheim@10.0.0.1::::iqn.x:t root=live:https://u:topsecret@h/x`, "t"),
		session: &rdconf.Session{Token: "session-token"}, conf: rdconf.Config{Server: &rdconf.Server{Nonce: "the-nonce"}}}
	in := "+ cat /proc/cmdline\n" + b.line.String() + "\nlog: tried two words and s3cret; \"https://u:topsecret@h/x\" 'iscsi:joe:geheim@10.0.0.1::::iqn.x:t'\nAuthorization: session-token the-nonce\nexport MY_TOKEN='abc def'\npassword=x"
	out := b.hideSecrets(in)
	for _, s := range []string{"two words", "s3cret", "geheim", "topsecret", "session-token", "the-nonce", "password=x", "abc def"} {
		if strings.Contains(out, s) {
			t.Errorf("%q is in\n%s", s, out)
		}
	}
	for _, s := range []string{"root=LABEL=x", "10.0.0.1", "https://u:***@h/x", "iqn.x:t"} {
		if !strings.Contains(out, s) {
			t.Errorf("%q is gone from\n%s", s, out)
		}
	}
}
