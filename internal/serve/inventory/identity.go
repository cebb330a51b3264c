package inventory

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/store"
)

var (
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	idForm   = regexp.MustCompile(`^[mo]-[0-9]+$`)
)

// UUIDs that vendors put into many boards.
var sharedUUIDs = []string{
	"03000200-0400-0500-0006-000700080009",
	"00020003-0004-0005-0006-000700080009",
	"12345678-1234-5678-90ab-cddeefaabbcc",
	"4c4c4544-0000-2010-8020-80c04f202020",
	"00000000-0000-0000-0000-000000000001",
}

// cleanUUID is the canonical form of a UUID that identifies a machine; "" if
// this one does not.
func cleanUUID(u string) string {
	u = strings.ToLower(strings.TrimSpace(u))
	if !uuidForm.MatchString(u) || slices.Contains(sharedUUIDs, u) {
		return ""
	}
	// All nibbles alike (0, f, 1 ...): never written by the vendor.
	if strings.Trim(u, u[:1]+"-") == "" {
		return ""
	}
	return u
}

// swapUUID reverses the bytes of the first three fields: firmware, boot
// programs and BMCs disagree whether SMBIOS keeps them little-endian.
func swapUUID(u string) string {
	if len(u) != 36 {
		return u
	}
	return u[6:8] + u[4:6] + u[2:4] + u[0:2] + "-" + u[11:13] + u[9:11] + "-" + u[16:18] + u[14:16] + u[18:]
}

// cleanMAC is the canonical form of an Ethernet MAC; "" if it is none that
// could identify a machine.
func cleanMAC(m string) string {
	hw, err := net.ParseMAC(m)
	if err != nil || len(hw) != 6 || hw[0]&1 != 0 || slices.Equal(hw, make(net.HardwareAddr, 6)) {
		return ""
	}
	return hw.String()
}

// cleanName makes a host name out of what a power driver calls a machine.
func cleanName(n string) string {
	n = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(n))
	n = strings.Trim(n, "-")
	if len(n) > 48 {
		n = strings.Trim(n[:48], "-")
	}
	if idForm.MatchString(n) || uuidForm.MatchString(n) {
		return ""
	}
	return n
}

// identify finds the machine with the UUID or MAC, or makes a new one. Where
// they disagree the UUID counts: interfaces move between machines. name is
// what a power driver calls it; without one, anybody on the network may have
// made it up.
func (s *Service) identify(t *store.Tx, uuid, mac, name string) (store.Machine, error) {
	uuid, mac = cleanUUID(uuid), cleanMAC(mac)
	if uuid == "" && mac == "" {
		return store.Machine{}, bad("machine has neither a usable SMBIOS UUID nor a MAC")
	}
	byUUID, found, err := findByUUID(t, uuid)
	if err != nil {
		return store.Machine{}, err
	}
	if found {
		return s.withMAC(t, byUUID, mac)
	}
	if mac != "" {
		byMAC, err := t.MachineByMAC(mac)
		switch {
		case err == nil && (byMAC.UUID == "" || uuid == ""):
			if uuid != "" {
				byMAC.UUID = uuid
				err = t.PutMachine(byMAC)
			}
			return byMAC, err
		case err == nil: // the interface of a machine with another UUID
		case !notFound(err):
			return store.Machine{}, err
		}
	}
	if name == "" {
		if err := s.roomForUnknown(t); err != nil {
			return store.Machine{}, err
		}
	}
	n, err := t.Count("machine")
	if err != nil {
		return store.Machine{}, err
	}
	m := store.Machine{ID: fmt.Sprintf("m-%d", n), UUID: uuid, Approval: api.ApprovalNew, Boot: api.BootDiscover, Created: s.now()}
	if m.Name, err = freeName(t, name, mac, uuid); err != nil {
		return store.Machine{}, err
	}
	if err := t.PutMachine(m); err != nil {
		return store.Machine{}, err
	}
	return s.withMAC(t, m, mac)
}

// roomForUnknown bounds how many machines can be made up. Those that never
// got further than a boot script make room after an hour, when their nonces
// are void.
func (s *Service) roomForUnknown(t *store.Tx) error {
	n, err := t.CountUnapproved()
	if err != nil || n < s.cfg.MaxUnknown {
		return err
	}
	if err := t.DropSilent(s.now().Add(-segmentLife)); err != nil {
		return err
	}
	if n, err = t.CountUnapproved(); err != nil || n < s.cfg.MaxUnknown {
		return err
	}
	return problem(503, "%d machines wait for approval, more are not taken in; see: bareroot machine list", n)
}

func findByUUID(t *store.Tx, uuid string) (m store.Machine, found bool, err error) {
	if uuid == "" {
		return m, false, nil
	}
	for _, u := range []string{uuid, swapUUID(uuid)} {
		m, err := t.MachineByUUID(u)
		if err == nil {
			return m, true, nil
		}
		if !notFound(err) {
			return m, false, err
		}
	}
	return m, false, nil
}

// withMAC gives the MAC to the machine, also if another one had it.
func (s *Service) withMAC(t *store.Tx, m store.Machine, mac string) (store.Machine, error) {
	if mac == "" {
		return m, nil
	}
	old, err := t.MachineByMAC(mac)
	switch {
	case err == nil && old.ID == m.ID:
		return m, nil
	case err == nil:
		m.Warnings = addWarning(m.Warnings, fmt.Sprintf("interface %s was machine %s's before", mac, old.Name))
		if err := t.PutMachine(m); err != nil {
			return m, err
		}
	case !notFound(err):
		return m, err
	}
	return m, s.addMAC(t, m.ID, mac)
}

// maxMACs bounds the interfaces of one machine.
const maxMACs = 128

// addMAC gives the MAC to the machine, if it has not too many.
func (s *Service) addMAC(t *store.Tx, machine, mac string) error {
	have, err := t.MACs(machine)
	if err != nil || len(have) >= maxMACs {
		return err
	}
	return t.PutMAC(mac, machine, s.now())
}

// freeName finds a name: the wished one, or one made of the MAC or the UUID.
func freeName(t *store.Tx, wish, mac, uuid string) (string, error) {
	base := cleanName(wish)
	if hex := strings.ReplaceAll(mac, ":", ""); base == "" && hex != "" {
		base = "node-" + hex[6:]
	}
	if base == "" {
		base = "node-" + uuid[30:]
	}
	name := base
	for i := 2; ; i++ {
		_, err := t.MachineByName(name)
		if notFound(err) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		name = fmt.Sprintf("%s-%d", base, i)
	}
}

// maxWarnings bounds what a hostile neighbour can pile up on a machine.
const maxWarnings = 8

func addWarning(ws []string, w string) []string {
	if slices.Contains(ws, w) {
		return ws
	}
	ws = append(ws, w)
	if len(ws) > maxWarnings {
		ws = ws[len(ws)-maxWarnings:]
	}
	return ws
}

// find resolves a reference to a machine: id, name, UUID, or MAC.
func find(t *store.Tx, ref string) (store.Machine, error) {
	if ref == "" {
		return store.Machine{}, bad("no machine named")
	}
	low := strings.ToLower(ref)
	tries := []func() (store.Machine, error){
		func() (store.Machine, error) { return t.Machine(ref) },
		func() (store.Machine, error) { return t.MachineByName(low) },
		func() (store.Machine, error) { return t.MachineByUUID(low) },
	}
	if mac := cleanMAC(ref); mac != "" {
		tries = append(tries, func() (store.Machine, error) { return t.MachineByMAC(mac) })
	}
	for _, try := range tries {
		m, err := try()
		if err == nil || !notFound(err) {
			return m, err
		}
	}
	return store.Machine{}, missing(store.ErrNotFound, "no machine %q; see: bareroot machine list", ref)
}

func stamp(t *store.Tx, machine string, at time.Time, what, note string) error {
	return t.AddStamp(machine, store.Stamp{At: at, What: what, Note: note}, 100)
}
