package cmdline

import (
	"fmt"
	"strings"
)

// groups reads bond=, bridge=, team= and vlan=.
func (n *Network) groups(l Line) error {
	for _, w := range l.All("bond") {
		f := strings.Split(w.Value, ":")
		if w.Value == "" {
			f = []string{"bond0", "eth0,eth1"}
		}
		if len(f) > 4 {
			return fmt.Errorf("bond=%s: the form is NAME[:S1,S2[:OPTIONS[:MTU]]]", w.Value)
		}
		g := Group{Name: f[0], Members: []string{"eth0", "eth1"}}
		if len(f) > 1 {
			g.Members = strings.Split(f[1], ",")
		}
		if len(f) > 2 {
			g.Options = strings.NewReplacer(",", " ", ";", ",").Replace(f[2])
		}
		if len(f) > 3 {
			g.MTU = f[3]
		}
		if g.MTU != "" && !digits(g.MTU) {
			return fmt.Errorf("bond=%s: MTU %q is no number", w.Value, g.MTU)
		}
		if err := g.names(w); err != nil {
			return err
		}
		n.Bonds = append(n.Bonds, g)
	}
	for _, w := range l.All("bridge") {
		name, members, ok := strings.Cut(w.Value, ":")
		if w.Value == "" {
			name, members, ok = "br0", "eth0", true
		}
		if !ok || strings.Contains(members, ":") {
			return fmt.Errorf("bridge=%s: the form is NAME:PORT1,PORT2", w.Value)
		}
		g := Group{Name: name, Members: strings.Split(members, ",")}
		if err := g.names(w); err != nil {
			return err
		}
		n.Bridges = append(n.Bridges, g)
	}
	for _, w := range l.All("team") {
		if w.Value == "" {
			continue
		}
		f := strings.Split(w.Value, ":")
		if len(f) < 2 || len(f) > 3 {
			return fmt.Errorf("team=%s: the form is NAME:PORT1,PORT2[:RUNNER]", w.Value)
		}
		g := Group{Name: f[0], Members: strings.Split(f[1], ","), Options: "activebackup"}
		if len(f) == 3 {
			g.Options = f[2]
		}
		if err := g.names(w); err != nil {
			return err
		}
		n.Teams = append(n.Teams, g)
	}
	for _, w := range l.All("vlan") {
		f := strings.Split(w.Value, ":")
		if len(f) != 2 {
			return fmt.Errorf("vlan=%s: the form is NAME:INTERFACE", w.Value)
		}
		id, ok := vlanID(f[0])
		if !ok {
			return fmt.Errorf("vlan=%s: %s says no VLAN id; names are vlanN, vlanNNNN or INTERFACE.N with N from 1 to 4094", w.Value, f[0])
		}
		if err := (Group{Name: f[0], Members: f[1:]}).names(w); err != nil {
			return err
		}
		n.VLANs = append(n.VLANs, VLAN{Name: f[0], Phys: f[1], ID: id})
	}
	return nil
}

// names checks the names of interfaces in a word.
func (g Group) names(w Word) error {
	for _, name := range append([]string{g.Name}, g.Members...) {
		if !IfaceName(name) {
			return fmt.Errorf("%s: %q is no name of an interface", w, name)
		}
	}
	return nil
}

// IfaceName says whether the kernel takes s as the name of an interface.
func IfaceName(s string) bool {
	return s != "" && len(s) < 16 && s != "." && s != ".." && !strings.ContainsAny(s, "/: \t\n\v\f\r")
}

func vlanID(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "vlan")
	if !ok {
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			return 0, false
		}
		digits = name[i+1:]
	}
	id := 0
	for _, c := range digits {
		if c < '0' || c > '9' || id > 4094 {
			return 0, false
		}
		id = id*10 + int(c-'0')
	}
	return id, id >= 1 && id <= 4094
}
