package human

import (
	"testing"
	"time"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 10 << 10: "10 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB",
		651 << 20: "651 MiB", 20 << 30: "20 GiB", -2048: "-2.0 KiB", 1<<63 - 1: "8.0 EiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		420 * time.Millisecond: "0.42 s", 12300 * time.Millisecond: "12.3 s", 185 * time.Second: "3m05s",
		130 * time.Minute: "2h10m", -time.Second: "-1.00 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
	now := time.Unix(1000, 0)
	if got := Ago(time.Time{}, now); got != "never" {
		t.Errorf("Ago(zero) = %q", got)
	}
	if got := Ago(now.Add(-90*time.Second), now); got != "1m30s ago" {
		t.Errorf("Ago = %q", got)
	}
}
