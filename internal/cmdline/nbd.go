package cmdline

import (
	"fmt"
	"strings"
)

// NBD is nbd:SERVER:PORT|EXPORT[:FSTYPE[:FLAGS[:OPTIONS]]].
type NBD struct {
	Server  string // without brackets
	Port    string // a number, else "" and Export is set
	Export  string
	FSType  string
	Flags   string // mount options
	Options string // of the connection
}

// ParseNBD reads root=nbd: and netroot=nbd:.
func ParseNBD(v string) (NBD, error) {
	const form = "the form is nbd:SERVER:PORT-OR-EXPORT[:FSTYPE[:MOUNT-OPTIONS[:NBD-OPTIONS]]]"
	rest, ok := strings.CutPrefix(v, "nbd:")
	f := splitFields(rest)
	switch {
	case !ok || len(f) > 5:
		return NBD{}, fmt.Errorf("%s: %s", v, form)
	case f[0] == "":
		return NBD{}, fmt.Errorf("%s: the server is missing; %s", v, form)
	case len(f) == 1 || f[1] == "":
		return NBD{}, fmt.Errorf("%s: the port or export is missing; %s", v, form)
	}
	f = append(f, "", "", "")
	n := NBD{Server: f[0], FSType: f[2], Flags: f[3], Options: f[4]}
	if digits(f[1]) {
		if !port(f[1]) {
			return NBD{}, fmt.Errorf("%s: port %s is not in 1..65535", v, f[1])
		}
		n.Port = f[1]
	} else {
		n.Export = f[1]
	}
	return n, nil
}
