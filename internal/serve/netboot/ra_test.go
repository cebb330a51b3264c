package netboot

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSolicitation(t *testing.T) {
	for name, tc := range map[string]struct {
		b    []byte
		hops int
		want bool
	}{
		"plain":             {[]byte{133, 0, 0, 0, 0, 0, 0, 0}, 255, true},
		"with source":       {[]byte{133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1}, 255, true},
		"from another link": {[]byte{133, 0, 0, 0, 0, 0, 0, 0}, 64, false},
		"short":             {[]byte{133, 0, 0, 0}, 255, false},
		"empty":             {nil, 255, false},
		"code":              {[]byte{133, 1, 0, 0, 0, 0, 0, 0}, 255, false},
		"option length 0":   {[]byte{133, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 1}, 255, false},
		"option too long":   {[]byte{133, 0, 0, 0, 0, 0, 0, 0, 1, 9, 2, 0, 0, 0, 0, 1}, 255, false},
		"option cut off":    {[]byte{133, 0, 0, 0, 0, 0, 0, 0, 1}, 255, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := validSolicitation(tc.b, tc.hops); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAdvertisement(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	want := []byte{134, 0, 0, 0 /* hop limit, flags, lifetime */, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1}
	if d := cmp.Diff(want, advertisement(mac, netip.Prefix{})); d != "" {
		t.Error(d)
	}
	with := advertisement(mac, netip.MustParsePrefix("fd77::1/64"))
	tail := append([]byte{3, 4, 64, 0x80, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0, 0xfd, 0x77}, make([]byte, 14)...)
	if d := cmp.Diff(append(want, tail...), with); d != "" {
		t.Error(d)
	}
}

func FuzzSolicitation(f *testing.F) {
	f.Add([]byte{133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1})
	f.Fuzz(func(_ *testing.T, b []byte) { validSolicitation(b, 255) })
}
