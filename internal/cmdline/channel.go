package cmdline

import (
	"fmt"
	"strings"
)

// FCoE is fcoe=IF|MAC|edd:dcb|nodcb[:fabric|vn2vn].
type FCoE struct {
	Device string // name, MAC in lower case, or "edd"
	DCB    bool
	Mode   string
}

// ParseFCoE reads a value of fcoe=.
func ParseFCoE(v string) (FCoE, error) {
	f := strings.Split(v, ":")
	dev, rest := f[0], f[1:]
	if len(f) >= 7 {
		dev, rest = strings.ToLower(strings.Join(f[:6], ":")), f[6:]
		if !isMAC(dev) {
			return FCoE{}, fmt.Errorf("fcoe=%s: %s is no MAC address", v, dev)
		}
	}
	if dev == "" || len(rest) < 1 || len(rest) > 2 || (rest[0] != "dcb" && rest[0] != "nodcb") || len(rest) == 2 && rest[1] != "fabric" && rest[1] != "vn2vn" {
		return FCoE{}, fmt.Errorf("fcoe=%s: the form is INTERFACE, MAC or edd, then :dcb or :nodcb, then :fabric or :vn2vn if wanted", v)
	}
	e := FCoE{Device: dev, DCB: rest[0] == "dcb"}
	if len(rest) == 2 {
		e.Mode = rest[1]
	}
	return e, nil
}

// ZNet is rd.znet=TYPE,CHANNEL,CHANNEL[,CHANNEL],OPTION=VALUE...
type ZNet struct {
	Type              string
	Channels, Options []string
}

// ParseZNet reads a value of rd.znet=.
func ParseZNet(v string) (ZNet, error) {
	f := strings.Split(v, ",")
	z := ZNet{Type: f[0]}
	want := 2
	switch z.Type {
	case "qeth":
		want = 3
	case "lcs", "ctc":
	default:
		return ZNet{}, fmt.Errorf("rd.znet=%s: type %q is none of qeth, lcs, ctc", v, z.Type)
	}
	for _, p := range f[1:] {
		if strings.Contains(p, "=") {
			z.Options = append(z.Options, p)
		} else if len(z.Options) == 0 {
			z.Channels = append(z.Channels, p)
		}
	}
	if len(z.Channels) != want {
		return ZNet{}, fmt.Errorf("rd.znet=%s: %s has %d channels", v, z.Type, want)
	}
	return z, nil
}
