package boot

import (
	"testing"
	"time"

	"bareroot/internal/cmdline"
)

func TestDeviceLimit(t *testing.T) {
	for line, want := range map[string]int{
		"": 180, "rd.retry=10": 10, "rd.retry=10 rd.timeout=20": 20, "rd.timeout=0": 180, "rd.timeout=infinity": 180, "rootwait": 180, "rootwait=30": 30,
		"rootwait=30 rd.timeout=5": 5, "rootdelay=10": 180, "rootdelay=300": 300, "rd.retry=5 rootdelay=7": 7, "rootdelay=x": 180,
	} {
		b := &Boot{line: cmdline.Parse(line, "t").Canonical()}
		if got := b.deviceLimit(); got != time.Duration(want)*time.Second {
			t.Errorf("%s: %v, want %d s", line, got, want)
		}
	}
}

func TestDebugTTY(t *testing.T) {
	for line, want := range map[string]string{
		"": "", "systemd.debug_shell": "", "rd.systemd.debug_shell": "tty9", "rd.systemd.debug-shell=1": "tty9", "rd.systemd.debug_shell=0": "",
		"rd.systemd.debug_shell=ttyS1": "ttyS1", "rd.systemd.debug_shell=/dev/ttyS1": "ttyS1", "rd.systemd.debug_shell=no": "",
	} {
		if got := debugTTY(cmdline.Parse(line, "t").Canonical()); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
