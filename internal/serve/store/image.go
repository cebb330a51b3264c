package store

import "bareroot/api"

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
