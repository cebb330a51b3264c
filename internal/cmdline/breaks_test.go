package cmdline

import (
	"strings"
	"testing"
)

func TestBreak(t *testing.T) {
	for line, want := range map[string]string{
		"":                                      "",
		"rd.break":                              "switch-root",
		"rd.break=":                             "switch-root",
		"rd.break=mount rd.break=cleanup":       "mount cleanup",
		"rdbreak=cmdline":                       "cmdline",
		"rd.break=shutdown rd.break=nowhere":    "shutdown",
		"break":                                 "initqueue",
		"break=":                                "initqueue",
		"break=top,bottom,nonsense":             "cmdline pre-pivot",
		"break=modules break=mount break=init":  "pre-udev pre-mount switch-root",
		"break=mountroot":                       "mount",
		"break=premount":                        "initqueue",
		"rd.emergency":                          "pre-udev",
		"rd.emergency=reboot":                   "",
		"rd.rescue":                             "initqueue",
		"rd.systemd.unit=rescue.target":         "initqueue",
		"rd.systemd.unit=emergency":             "pre-udev",
		"rd.systemd.unit=initrd.target":         "",
		"systemd.unit=rescue.target rescue":     "", // the root's
		"Break=top rd.Break=mount -- break=top": "",
	} {
		l := Parse(line, "t").Canonical()
		var got []string
		for _, s := range append(Stages[:], SwitchRoot, "pre-shutdown", "shutdown") {
			if w, ok := l.Break(s); ok {
				got = append(got, s)
				if !strings.Contains(w, "break") && !strings.HasPrefix(w, "rd.") {
					t.Errorf("%s: by the word %q", line, w)
				}
			}
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%q breaks before %q, want %q", line, g, want)
		}
		if l.Breaks() != (want != "") {
			t.Errorf("%q: Breaks", line)
		}
	}
}

func TestRefused(t *testing.T) {
	for line, want := range map[string]bool{"": false, "roothash=ab": true, "usrhash=ab": true, "roothash=": false, "roothash=ab roothash=": false, "root=LABEL=roothash": false} {
		if err := Refused(Parse(line, "t").Canonical()); (err != nil) != want {
			t.Errorf("%s: %v", line, err)
		}
	}
}
