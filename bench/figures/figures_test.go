package figures

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		v      []float64
		want   float64
		spread string
	}{
		{nil, 0, ""},
		{[]float64{2}, 2, "2.000 [2.000-2.000]"},
		{[]float64{3, 1}, 2, "2.000 [1.000-3.000]"},
		{[]float64{9.5, 1, 2}, 2, "2.000 [1.000-9.500]"},
		{[]float64{4, 1, 3, 2}, 2.5, "2.500 [1.000-4.000]"},
	} {
		before := append([]float64(nil), c.v...)
		if got := Median(c.v); got != c.want {
			t.Errorf("median of %v: %v, want %v", c.v, got, c.want)
		}
		if got := Spread(c.v, 3); got != c.spread {
			t.Errorf("spread of %v: %q, want %q", c.v, got, c.spread)
		}
		if d := cmp.Diff(before, c.v); d != "" {
			t.Error(d)
		}
	}
}
