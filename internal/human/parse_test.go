package human

import "testing"

func TestParseBytes(t *testing.T) {
	tests := map[string]struct {
		want int64
		ok   bool
	}{
		"0": {0, true}, "512": {512, true}, "512 B": {512, true}, "1k": {1024, true}, "1KB": {1000, true},
		"20G": {20 << 30, true}, "20GiB": {20 << 30, true}, "500GB": {500e9, true}, "1.5T": {3 << 39, true},
		" 7 MiB ": {7 << 20, true}, "7E": {7 << 60, true}, "8E": {0, false},
		"": {0, false}, "G": {0, false}, "-1": {0, false}, "1.2.3": {0, false}, "5X": {0, false}, "5GiBx": {0, false},
		"0x10": {0, false}, "1e3": {0, false}, "1/2": {0, false}, ".": {0, false},
	}
	for give, want := range tests {
		got, err := ParseBytes(give)
		if (err == nil) != want.ok || got != want.want {
			t.Errorf("ParseBytes(%q) = %d, %v; want %d, ok %v", give, got, err, want.want, want.ok)
		}
	}
}

func FuzzParseBytes(f *testing.F) {
	for _, s := range []string{"20G", "1.5TiB", "500gb", "", ".5k", "9999999999E"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseBytes(s); n < 0 || err != nil && n != 0 {
			t.Errorf("ParseBytes(%q) = %d, %v", s, n, err)
		}
	})
}
