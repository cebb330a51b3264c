// Package figures says many measurements in few words. It measures nothing.
package figures

import (
	"fmt"
	"slices"
)

// Median is the value in the middle; of an even number of values the mean of
// the two there, and 0 of none.
func Median(v []float64) float64 {
	n := len(v)
	if n == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(n-1)/2] + s[n/2]) / 2
}

// Spread is the median and, in brackets, the least and the greatest value, with
// so many decimals.
func Spread(v []float64, decimals int) string {
	if len(v) == 0 {
		return ""
	}
	return fmt.Sprintf("%.*f [%.*f-%.*f]", decimals, Median(v), decimals, slices.Min(v), decimals, slices.Max(v))
}
