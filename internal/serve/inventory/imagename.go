package inventory

import (
	"regexp"

	"bareroot/api"
	"bareroot/internal/serve/store"
)

// imageURL is the address of a registered image, as machines repeat it in
// what they say.
var imageURL = regexp.MustCompile(`(?:live:)?https?://[^\s/]+/images/([0-9a-f]{64})\b`)

// plain puts an image's name in the place of its address: people know it by
// the name.
func (in *intake) plain(e *api.Event) error {
	var fail error
	e.Message = imageURL.ReplaceAllStringFunc(e.Message, func(found string) string {
		i, err := in.t.ImageBySHA256(imageURL.FindStringSubmatch(found)[1])
		switch {
		case err == nil:
			return "image " + i.Name
		case !notFound(err):
			fail = err
		}
		return found
	})
	return fail
}

// imageOf is the name of the image that an order is about; "" if it names
// none, or one that is no longer registered.
func imageOf(t *store.Tx, o store.Order) (string, error) {
	sum := ""
	if o.Deploy != nil {
		sum = o.Deploy.Image.SHA256
	}
	if o.Root != nil {
		for _, w := range o.Root.Words {
			if m := imageURL.FindStringSubmatch(w); m != nil {
				sum = m[1]
			}
		}
	}
	if sum == "" {
		return "", nil
	}
	i, err := t.ImageBySHA256(sum)
	if notFound(err) {
		return "", nil
	}
	return i.Name, err
}
