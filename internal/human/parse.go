package human

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

// ParseBytes reads a size as people write it: "512", "20G", "20GiB" (powers of
// 1024) or "20GB" (powers of 1000, as on a disk's label), with a fraction if
// they like: "1.5T". Case does not matter.
func ParseBytes(s string) (int64, error) {
	t := strings.TrimSpace(s)
	i := 0
	for i < len(t) && (t[i] >= '0' && t[i] <= '9' || t[i] == '.') {
		i++
	}
	number, unit := t[:i], strings.ToLower(strings.TrimSpace(t[i:]))
	bad := func() (int64, error) {
		return 0, fmt.Errorf("%q is not a size; write it like 20G, 20GiB or 500GB", s)
	}
	base, power := int64(1024), 0
	switch unit {
	case "", "b":
	default:
		if power = strings.IndexByte("kmgtpe", unit[0]) + 1; power == 0 {
			return bad()
		}
		switch unit[1:] {
		case "", "ib":
		case "b":
			base = 1000
		default:
			return bad()
		}
	}
	n, ok := new(big.Rat).SetString(number)
	if !ok || i > 40 {
		return bad()
	}
	for range power {
		n.Mul(n, new(big.Rat).SetInt64(base))
	}
	whole := new(big.Int).Quo(n.Num(), n.Denom())
	if !whole.IsInt64() {
		return 0, fmt.Errorf("%q is more than %d bytes", s, int64(math.MaxInt64))
	}
	return whole.Int64(), nil
}
