package store

import (
	"encoding/json"
	"fmt"
	"time"

	"bareroot/api"
	"bareroot/internal/bootset"
)

const imageColumns = `name, sha256, size, format, compression, raw_size, added, verified, problem`

func scanImage(r scanner) (i api.Image, err error) {
	var added, verified int64
	err = r.Scan(&i.Name, &i.SHA256, &i.Size, &i.Format, &i.Compression, &i.RawSize, &added, &verified, &i.Problem)
	i.Added, i.Verified = fromNanos(added), fromNanos(verified)
	return i, err
}

// PutImage inserts an image, or replaces what its verification found.
func (t *Tx) PutImage(i api.Image) error {
	return t.exec("put image "+i.Name, `INSERT INTO images (`+imageColumns+`) VALUES (?,?,?,?,?,?,?,?,?)
		ON CONFLICT (name) DO UPDATE SET verified=excluded.verified, problem=excluded.problem`,
		i.Name, i.SHA256, i.Size, i.Format, i.Compression, i.RawSize, nanos(i.Added), nanos(i.Verified), i.Problem)
}

// Images lists images by name.
func (t *Tx) Images() ([]api.Image, error) {
	return many(t, "list images", scanImage, `SELECT `+imageColumns+` FROM images ORDER BY name`)
}

// Image finds an image by name.
func (t *Tx) Image(name string) (api.Image, error) {
	return one(t, "image "+name, scanImage, `SELECT `+imageColumns+` FROM images WHERE name = ?`, name)
}

// ImageBySHA256 finds an image by content.
func (t *Tx) ImageBySHA256(sum string) (api.Image, error) {
	return one(t, "image "+sum, scanImage, `SELECT `+imageColumns+` FROM images WHERE sha256 = ? ORDER BY name LIMIT 1`, sum)
}

// DeleteImage removes an image's row.
func (t *Tx) DeleteImage(name string) error {
	return t.exec("delete image "+name, `DELETE FROM images WHERE name = ?`, name)
}

// BootSet is a row of bootsets.
type BootSet struct {
	Name     string
	Manifest bootset.Manifest
	Added    time.Time
}

func scanBootSet(r scanner) (b BootSet, err error) {
	var doc string
	var added int64
	if err := r.Scan(&b.Name, &doc, &added); err != nil {
		return b, err
	}
	b.Added = fromNanos(added)
	return b, json.Unmarshal([]byte(doc), &b.Manifest)
}

// AddBootSet inserts a boot set.
func (t *Tx) AddBootSet(b BootSet) error {
	doc, err := json.Marshal(b.Manifest)
	if err != nil {
		return fmt.Errorf("add boot set %s: %w", b.Name, err)
	}
	return t.exec("add boot set "+b.Name, `INSERT INTO bootsets (name, id, manifest, added) VALUES (?,?,?,?)`, b.Name, b.Manifest.ID, string(doc), nanos(b.Added))
}

// BootSets lists boot sets by name.
func (t *Tx) BootSets() ([]BootSet, error) {
	return many(t, "list boot sets", scanBootSet, `SELECT name, manifest, added FROM bootsets ORDER BY name`)
}

// BootSet finds a boot set by name.
func (t *Tx) BootSet(name string) (BootSet, error) {
	return one(t, "boot set "+name, scanBootSet, `SELECT name, manifest, added FROM bootsets WHERE name = ?`, name)
}

// BootSetByID finds a boot set by content.
func (t *Tx) BootSetByID(id string) (BootSet, error) {
	return one(t, "boot set "+id, scanBootSet, `SELECT name, manifest, added FROM bootsets WHERE id = ? ORDER BY name LIMIT 1`, id)
}

// DeleteBootSet removes a boot set's row.
func (t *Tx) DeleteBootSet(name string) error {
	return t.exec("delete boot set "+name, `DELETE FROM bootsets WHERE name = ?`, name)
}
