package boot

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/netconf"
)

func TestNetLimits(t *testing.T) {
	for words, change := range map[string]func(*netconf.Limits){
		"": func(*netconf.Limits) {},
		"rd.net.timeout.carrier=3 rd.net.timeout.ifup=4 rd.net.timeout.ipv6dad=5 rd.net.timeout.ipv6auto=6 rd.net.timeout.dhcp=7 rd.net.dhcp.retry=8": func(l *netconf.Limits) {
			*l = netconf.Limits{Carrier: 3 * time.Second, Up: 4 * time.Second, DAD: 5 * time.Second, Auto: 6 * time.Second, DHCP: 7 * time.Second, Retries: 8}
		},
		"rd.net.timeout.ipv6auto=0":    func(l *netconf.Limits) { l.Auto = time.Second },
		"rd.net.timeout.dhcp=1000000":  func(l *netconf.Limits) { l.DHCP = 24 * time.Hour },
		"rd.net.timeout.dhcp=soon":     func(*netconf.Limits) {},
		"rd.net.dhcp.retry=1000000000": func(l *netconf.Limits) { l.Retries = 1000 },
	} {
		want := netconf.DefaultLimits()
		change(&want)
		b := &Boot{line: cmdline.Parse(words, "test")}
		if d := cmp.Diff(want, b.netLimits()); d != "" {
			t.Errorf("%s: %s", words, d)
		}
	}
}
