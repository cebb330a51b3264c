package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Machine is a row of machines.
type Machine struct {
	ID, Name, UUID string
	Approval       string
	Reason         string // why held
	Boot           string // desired
	RootWords      []string
	RootOrder      string
	BootSet        string // pinned, by name
	Seen           time.Time
	BootAttempt    string // of the newest hello
	BootID         string
	Phase          string
	Message        string
	Failed         bool
	Address        string
	Firmware       string
	Power          string
	BMC            string
	Warnings       []string
	GuardSince     time.Time
	Created        time.Time
}

const machineColumns = `id, name, uuid, approval, reason, boot, root_words, root_order, boot_set, seen, boot_attempt, boot_id, phase, message, failed, address, firmware, power, bmc, warnings, guard_since, created`

func scanMachine(r scanner) (m Machine, err error) {
	var words, warnings string
	var seen, guard, created int64
	err = r.Scan(&m.ID, &m.Name, &m.UUID, &m.Approval, &m.Reason, &m.Boot, &words, &m.RootOrder, &m.BootSet, &seen, &m.BootAttempt, &m.BootID,
		&m.Phase, &m.Message, &m.Failed, &m.Address, &m.Firmware, &m.Power, &m.BMC, &warnings, &guard, &created)
	if err != nil {
		return m, err
	}
	m.Seen, m.GuardSince, m.Created = fromNanos(seen), fromNanos(guard), fromNanos(created)
	if err := json.Unmarshal([]byte(words), &m.RootWords); err != nil {
		return m, err
	}
	return m, json.Unmarshal([]byte(warnings), &m.Warnings)
}

// PutMachine inserts or replaces a machine.
func (t *Tx) PutMachine(m Machine) error {
	words, err := list(m.RootWords)
	if err != nil {
		return fmt.Errorf("put machine %s: %w", m.ID, err)
	}
	warnings, err := list(m.Warnings)
	if err != nil {
		return fmt.Errorf("put machine %s: %w", m.ID, err)
	}
	return t.exec("put machine "+m.ID, `INSERT INTO machines (`+machineColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT (id) DO UPDATE SET name=excluded.name, uuid=excluded.uuid, approval=excluded.approval, reason=excluded.reason, boot=excluded.boot,
		root_words=excluded.root_words, root_order=excluded.root_order, boot_set=excluded.boot_set, seen=excluded.seen, boot_attempt=excluded.boot_attempt,
		boot_id=excluded.boot_id, phase=excluded.phase, message=excluded.message, failed=excluded.failed, address=excluded.address, firmware=excluded.firmware,
		power=excluded.power, bmc=excluded.bmc, warnings=excluded.warnings, guard_since=excluded.guard_since`,
		m.ID, m.Name, m.UUID, m.Approval, m.Reason, m.Boot, words, m.RootOrder, m.BootSet, nanos(m.Seen), m.BootAttempt, m.BootID,
		m.Phase, m.Message, m.Failed, m.Address, m.Firmware, m.Power, m.BMC, warnings, nanos(m.GuardSince), nanos(m.Created))
}

func list(ss []string) (string, error) {
	if ss == nil {
		ss = []string{}
	}
	b, err := json.Marshal(ss)
	return string(b), err
}

// Machines lists all machines by name.
func (t *Tx) Machines() ([]Machine, error) {
	return many(t, "list machines", scanMachine, `SELECT `+machineColumns+` FROM machines ORDER BY name`)
}

// Machine finds a machine by id.
func (t *Tx) Machine(id string) (Machine, error) {
	return one(t, "machine "+id, scanMachine, `SELECT `+machineColumns+` FROM machines WHERE id = ?`, id)
}

// MachineByName finds a machine by name.
func (t *Tx) MachineByName(name string) (Machine, error) {
	return one(t, "machine "+name, scanMachine, `SELECT `+machineColumns+` FROM machines WHERE name = ?`, name)
}

// MachineByUUID finds a machine by SMBIOS UUID.
func (t *Tx) MachineByUUID(uuid string) (Machine, error) {
	return one(t, "machine "+uuid, scanMachine, `SELECT `+machineColumns+` FROM machines WHERE uuid = ? AND uuid <> ''`, uuid)
}

// MachineByMAC finds a machine by MAC.
func (t *Tx) MachineByMAC(mac string) (Machine, error) {
	return one(t, "machine "+mac, scanMachine, `SELECT `+machineColumns+` FROM machines WHERE id = (SELECT machine FROM macs WHERE mac = ?)`, mac)
}

// DeleteMachine removes a machine and all that belongs to it.
func (t *Tx) DeleteMachine(id string) error {
	return t.exec("delete machine "+id, `DELETE FROM machines WHERE id = ?`, id)
}

// CountUnapproved counts the machines that no operator has approved or
// retired.
func (t *Tx) CountUnapproved() (int, error) {
	return one(t, "count machines", func(r scanner) (n int, err error) { return n, r.Scan(&n) },
		`SELECT count(*) FROM machines WHERE approval IN ('new', 'held')`)
}

// DropSilent removes the machines of which nothing is known but that somebody
// asked for a boot script in their name, the last time before: none said
// hello, was named by a power driver or an operator's order, or held by hand.
func (t *Tx) DropSilent(before time.Time) error {
	return t.exec("drop silent machines", `DELETE FROM machines WHERE (approval = 'new' OR approval = 'held' AND reason <> '') AND boot_attempt = '' AND bmc = '' AND seen < ?
		AND NOT EXISTS (SELECT 1 FROM orders WHERE orders.machine = machines.id)`, nanos(before))
}

// MAC is a row of macs.
type MAC struct{ MAC, Machine string }

// MACs lists the MACs of a machine, of all machines if it is empty, the
// first seen first.
func (t *Tx) MACs(machine string) ([]MAC, error) {
	return many(t, "list MACs", func(r scanner) (m MAC, err error) { return m, r.Scan(&m.MAC, &m.Machine) },
		`SELECT mac, machine FROM macs WHERE ? = '' OR machine = ? ORDER BY added, mac`, machine, machine)
}

// PutMAC gives the MAC to the machine.
func (t *Tx) PutMAC(mac, machine string, now time.Time) error {
	return t.exec("put MAC "+mac, `INSERT INTO macs (mac, machine, added) VALUES (?,?,?) ON CONFLICT (mac) DO UPDATE SET machine=excluded.machine`, mac, machine, nanos(now))
}

// Facts reads the newest facts document, nil if there is none.
func (t *Tx) Facts(machine string) ([]byte, error) {
	b, err := one(t, "facts of "+machine, func(r scanner) (b []byte, err error) { return b, r.Scan(&b) },
		`SELECT document FROM facts WHERE machine = ?`, machine)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return b, err
}

// PutFacts replaces the facts document.
func (t *Tx) PutFacts(machine string, document []byte, now time.Time) error {
	return t.exec("put facts of "+machine, `INSERT INTO facts (machine, document, at) VALUES (?,?,?) ON CONFLICT (machine) DO UPDATE SET document=excluded.document, at=excluded.at`,
		machine, string(document), nanos(now))
}

// Discovered lists the ids of the machines that have facts.
func (t *Tx) Discovered() ([]string, error) {
	return many(t, "list discovered machines", func(r scanner) (id string, err error) { return id, r.Scan(&id) }, `SELECT machine FROM facts`)
}

// Stamp is a row of stamps.
type Stamp struct {
	At         time.Time
	What, Note string
}

// AddStamp appends to the machine's timeline, which keeps the newest keep.
func (t *Tx) AddStamp(machine string, s Stamp, keep int) error {
	if err := t.exec("add stamp", `INSERT INTO stamps (machine, at, what, note) VALUES (?,?,?,?)`, machine, nanos(s.At), s.What, s.Note); err != nil {
		return err
	}
	return t.exec("drop old stamps", `DELETE FROM stamps WHERE machine = ? AND n <= (SELECT n FROM stamps WHERE machine = ? ORDER BY n DESC LIMIT 1 OFFSET ?)`, machine, machine, keep)
}

// Stamps lists the machine's timeline, oldest first.
func (t *Tx) Stamps(machine string) ([]Stamp, error) {
	return many(t, "list stamps", func(r scanner) (s Stamp, err error) {
		var at int64
		err = r.Scan(&at, &s.What, &s.Note)
		s.At = fromNanos(at)
		return s, err
	}, `SELECT at, what, note FROM stamps WHERE machine = ? ORDER BY n`, machine)
}
