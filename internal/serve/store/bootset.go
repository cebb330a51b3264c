package store

import (
	"encoding/json"
	"fmt"
	"time"

	"bareroot/internal/bootset"
)

// BootSet is a row of bootsets, or of generations.
type BootSet struct {
	Name       string
	Manifest   bootset.Manifest
	Added      time.Time
	Generation int // 0: never pushed
}

const (
	bootSetColumns    = `name, manifest, added, generation`
	generationColumns = `name, manifest, added, n`
)

func scanBootSet(r scanner) (b BootSet, err error) {
	var doc string
	var added int64
	if err := r.Scan(&b.Name, &doc, &added, &b.Generation); err != nil {
		return b, err
	}
	b.Added = fromNanos(added)
	return b, json.Unmarshal([]byte(doc), &b.Manifest)
}

// AddBootSet inserts a boot set.
func (t *Tx) AddBootSet(b BootSet) error {
	return t.putBootSet("add boot set ", b, `INSERT INTO bootsets (id, manifest, added, generation, name) VALUES (?,?,?,?,?)`)
}

// SetBootSet changes what a boot set's name stands for.
func (t *Tx) SetBootSet(b BootSet) error {
	return t.putBootSet("change boot set ", b, `UPDATE bootsets SET id = ?, manifest = ?, added = ?, generation = ? WHERE name = ?`)
}

// AddGeneration inserts a generation of a boot set that is there.
func (t *Tx) AddGeneration(b BootSet) error {
	return t.putBootSet("add a generation of boot set ", b, `INSERT INTO generations (id, manifest, added, n, name) VALUES (?,?,?,?,?)`)
}

func (t *Tx) putBootSet(doing string, b BootSet, query string) error {
	doc, err := json.Marshal(b.Manifest)
	if err != nil {
		return fmt.Errorf("%s%s: %w", doing, b.Name, err)
	}
	return t.exec(doing+b.Name, query, b.Manifest.ID, string(doc), nanos(b.Added), b.Generation, b.Name)
}

// BootSets lists boot sets by name.
func (t *Tx) BootSets() ([]BootSet, error) {
	return many(t, "list boot sets", scanBootSet, `SELECT `+bootSetColumns+` FROM bootsets ORDER BY name`)
}

// BootSet finds a boot set by name.
func (t *Tx) BootSet(name string) (BootSet, error) {
	return one(t, "boot set "+name, scanBootSet, `SELECT `+bootSetColumns+` FROM bootsets WHERE name = ?`, name)
}

// BootSetByID finds a boot set by content, kept generations included: a
// machine goes on with the one that it was given when it started.
func (t *Tx) BootSetByID(id string) (BootSet, error) {
	return one(t, "boot set "+id, scanBootSet, `SELECT `+bootSetColumns+` FROM bootsets WHERE id = ?
		UNION ALL SELECT `+generationColumns+` FROM generations WHERE id = ? ORDER BY 1 LIMIT 1`, id, id)
}

// KeptBootSets lists the boot sets and all kept generations of them.
func (t *Tx) KeptBootSets() ([]BootSet, error) {
	return many(t, "list kept boot sets", scanBootSet, `SELECT `+bootSetColumns+` FROM bootsets
		UNION ALL SELECT `+generationColumns+` FROM generations ORDER BY 1, 4`)
}

// Generations lists the generations of a boot set, the oldest first.
func (t *Tx) Generations(name string) ([]BootSet, error) {
	return many(t, "list generations of boot set "+name, scanBootSet, `SELECT `+generationColumns+` FROM generations WHERE name = ? ORDER BY n`, name)
}

// DeleteGeneration removes a generation's row.
func (t *Tx) DeleteGeneration(name string, n int) error {
	return t.exec("delete a generation of boot set "+name, `DELETE FROM generations WHERE name = ? AND n = ?`, name, n)
}

// DeleteBootSet removes a boot set's row, with its generations.
func (t *Tx) DeleteBootSet(name string) error {
	return t.exec("delete boot set "+name, `DELETE FROM bootsets WHERE name = ?`, name)
}
