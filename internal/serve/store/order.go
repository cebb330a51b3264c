package store

import (
	"encoding/json"
	"fmt"
	"time"

	"bareroot/api"
)

// Order is a row of orders. Boot is the attempt id of the boot it was last
// sent to.
type Order struct {
	N int64
	api.Order
	Restarts int
	Boot     string
	Phase    string
}

type spec struct {
	Deploy *api.DeploySpec `json:"deploy,omitempty"`
	Root   *api.RootSpec   `json:"root,omitempty"`
}

const orderColumns = `n, id, machine, kind, spec, spec_hash, state, attempt, restarts, boot, phase, cut_at, message, progress, result, created, updated`

func scanOrder(r scanner) (o Order, err error) {
	var sp, progress, result string
	var created, updated int64
	err = r.Scan(&o.N, &o.ID, &o.Machine, &o.Kind, &sp, &o.SpecHash, &o.State, &o.Attempt, &o.Restarts, &o.Boot, &o.Phase, &o.CutAt, &o.Message, &progress, &result, &created, &updated)
	if err != nil {
		return o, err
	}
	o.Created, o.Updated = fromNanos(created), fromNanos(updated)
	var s spec
	if err := json.Unmarshal([]byte(sp), &s); err != nil {
		return o, fmt.Errorf("spec of order %s: %w", o.ID, err)
	}
	o.Deploy, o.Root = s.Deploy, s.Root
	if progress != "" {
		if err := json.Unmarshal([]byte(progress), &o.Progress); err != nil {
			return o, fmt.Errorf("progress of order %s: %w", o.ID, err)
		}
	}
	if result != "" {
		if err := json.Unmarshal([]byte(result), &o.Result); err != nil {
			return o, fmt.Errorf("result of order %s: %w", o.ID, err)
		}
	}
	return o, nil
}

// PutOrder inserts an order, or replaces what may change of it: never its
// machine, kind, or spec.
func (t *Tx) PutOrder(o Order) error {
	sp, err := json.Marshal(spec{o.Deploy, o.Root})
	if err != nil {
		return fmt.Errorf("put order %s: %w", o.ID, err)
	}
	var progress, result []byte
	if o.Progress != nil {
		if progress, err = json.Marshal(o.Progress); err != nil {
			return fmt.Errorf("put order %s: %w", o.ID, err)
		}
	}
	if o.Result != nil {
		if result, err = json.Marshal(o.Result); err != nil {
			return fmt.Errorf("put order %s: %w", o.ID, err)
		}
	}
	return t.exec("put order "+o.ID, `INSERT INTO orders (`+orderColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT (id) DO UPDATE SET state=excluded.state, attempt=excluded.attempt, restarts=excluded.restarts, boot=excluded.boot, phase=excluded.phase, cut_at=excluded.cut_at,
		message=excluded.message, progress=excluded.progress, result=excluded.result, updated=excluded.updated`,
		o.N, o.ID, o.Machine, o.Kind, string(sp), o.SpecHash, o.State, o.Attempt, o.Restarts, o.Boot, o.Phase, o.CutAt, o.Message, string(progress), string(result), nanos(o.Created), nanos(o.Updated))
}

// Order finds an order by id.
func (t *Tx) Order(id string) (Order, error) {
	return one(t, "order "+id, scanOrder, `SELECT `+orderColumns+` FROM orders WHERE id = ?`, id)
}

// Orders lists a machine's orders, all if it is empty, newest first.
func (t *Tx) Orders(machine string) ([]Order, error) {
	return many(t, "list orders", scanOrder, `SELECT `+orderColumns+` FROM orders WHERE ? = '' OR machine = ? ORDER BY n DESC`, machine, machine)
}

// OpenOrders lists the orders that have not ended, oldest first.
func (t *Tx) OpenOrders() ([]Order, error) {
	return many(t, "list open orders", scanOrder, `SELECT `+orderColumns+` FROM orders WHERE state IN ('queued', 'sent', 'running') ORDER BY n`)
}

// OpenOrder finds the machine's order that has not ended.
func (t *Tx) OpenOrder(machine string) (Order, error) {
	return one(t, "open order of "+machine, scanOrder, `SELECT `+orderColumns+` FROM orders WHERE machine = ? AND state IN ('queued', 'sent', 'running')`, machine)
}

// NewestOrders lists each machine's open order, else its newest one.
func (t *Tx) NewestOrders(machine string) ([]Order, error) {
	return many(t, "list newest orders", scanOrder, `SELECT `+orderColumns+` FROM orders o WHERE (? = '' OR machine = ?) AND n =
		(SELECT p.n FROM orders p WHERE p.machine = o.machine ORDER BY (p.state IN ('queued', 'sent', 'running')) DESC, p.n DESC LIMIT 1)`, machine, machine)
}

// Event is a row of order_events. Boot is the attempt id of the boot that
// told it; Seq 0 is the server's own.
type Event struct {
	Machine, Order string
	Attempt        int
	Boot           string
	Seq            int
	Told           time.Time // by the teller's clock; part of the event's identity
	Event          api.Event
}

// AddEvent appends an event; added is false if it was there already.
func (t *Tx) AddEvent(e Event) (added bool, err error) {
	b, err := json.Marshal(e.Event)
	if err != nil {
		return false, fmt.Errorf("add event: %w", err)
	}
	res, err := t.tx.ExecContext(t.ctx, `INSERT INTO order_events (machine, order_id, attempt, boot, seq, told, document) VALUES (?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`,
		e.Machine, e.Order, e.Attempt, e.Boot, e.Seq, nanos(e.Told), string(b))
	if err != nil {
		return false, fmt.Errorf("add event: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("add event: %w", err)
	}
	return n > 0, nil
}

func scanEvent(r scanner) (e api.Event, err error) {
	var doc string
	if err := r.Scan(&doc); err != nil {
		return e, err
	}
	return e, json.Unmarshal([]byte(doc), &e)
}

// OrderEvents lists an order's events in the order they came in.
func (t *Tx) OrderEvents(order string) ([]api.Event, error) {
	return many(t, "list events of "+order, scanEvent, `SELECT document FROM order_events WHERE order_id = ? AND order_id <> '' ORDER BY n`, order)
}

// CountEvents counts what one attempt of an order, or one boot, has told.
func (t *Tx) CountEvents(order string, attempt int, boot string) (int, error) {
	scan := func(r scanner) (n int, err error) { return n, r.Scan(&n) }
	if order != "" {
		return one(t, "count events", scan, `SELECT count(*) FROM order_events WHERE order_id = ? AND attempt = ?`, order, attempt)
	}
	return one(t, "count events", scan, `SELECT count(*) FROM order_events WHERE order_id = '' AND boot = ?`, boot)
}

// DropBootEvents removes what a boot told apart from orders.
func (t *Tx) DropBootEvents(boot string) error {
	return t.exec("drop events of boot", `DELETE FROM order_events WHERE order_id = '' AND boot = ?`, boot)
}

// Boot is a row of boots: one boot attempt of a machine.
type Boot struct {
	Attempt   string
	N         int64
	Machine   string
	Role      string
	Goal      string // the order this boot is for
	Reached   bool
	BootSet   string // id
	NonceHash string
	Segment   []byte // nil once the nonce was used or is old
	Created   time.Time
	Fetched   time.Time
	Hello     time.Time
	TokenHash string
	BootID    string
	Remote    string
}

const bootColumns = `attempt, n, machine, role, goal, reached, boot_set, nonce_hash, segment, created, fetched, hello, token_hash, boot_id, remote`

func scanBoot(r scanner) (b Boot, err error) {
	var created, fetched, hello int64
	err = r.Scan(&b.Attempt, &b.N, &b.Machine, &b.Role, &b.Goal, &b.Reached, &b.BootSet, &b.NonceHash, &b.Segment, &created, &fetched, &hello, &b.TokenHash, &b.BootID, &b.Remote)
	b.Created, b.Fetched, b.Hello = fromNanos(created), fromNanos(fetched), fromNanos(hello)
	return b, err
}

// PutBoot inserts or replaces a boot.
func (t *Tx) PutBoot(b Boot) error {
	return t.exec("put boot", `INSERT INTO boots (`+bootColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT (attempt) DO UPDATE SET goal=excluded.goal, reached=excluded.reached, segment=excluded.segment, fetched=excluded.fetched, hello=excluded.hello,
		token_hash=excluded.token_hash, boot_id=excluded.boot_id, remote=excluded.remote`,
		b.Attempt, b.N, b.Machine, b.Role, b.Goal, b.Reached, b.BootSet, b.NonceHash, b.Segment, nanos(b.Created), nanos(b.Fetched), nanos(b.Hello), b.TokenHash, b.BootID, b.Remote)
}

// Boot finds a boot by attempt id.
func (t *Tx) Boot(attempt string) (Boot, error) {
	return one(t, "boot attempt", scanBoot, `SELECT `+bootColumns+` FROM boots WHERE attempt = ?`, attempt)
}

// BootByNonce finds a boot by the hash of its nonce.
func (t *Tx) BootByNonce(hash string) (Boot, error) {
	return one(t, "boot by nonce", scanBoot, `SELECT `+bootColumns+` FROM boots WHERE nonce_hash = ?`, hash)
}

// BootByToken finds a boot by the hash of its session token.
func (t *Tx) BootByToken(hash string) (Boot, error) {
	return one(t, "boot by token", scanBoot, `SELECT `+bootColumns+` FROM boots WHERE token_hash = ? AND token_hash <> ''`, hash)
}

// Boots lists the machine's boots, newest first.
func (t *Tx) Boots(machine string) ([]Boot, error) {
	return many(t, "list boots", scanBoot, `SELECT `+bootColumns+` FROM boots WHERE machine = ? ORDER BY n DESC`, machine)
}

// DropSegments forgets the segments, and with them the secrets, of boots
// created before.
func (t *Tx) DropSegments(before time.Time) error {
	return t.exec("drop old segments", `UPDATE boots SET segment = NULL WHERE segment IS NOT NULL AND created < ?`, nanos(before))
}

// DropBoot removes a boot.
func (t *Tx) DropBoot(attempt string) error {
	return t.exec("drop boot", `DELETE FROM boots WHERE attempt = ?`, attempt)
}
