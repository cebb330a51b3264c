package sysimage

import (
	"os"
	"testing"
)

// TestBuild makes the real image; it takes a minute and the package archive,
// so it runs when BAREROOT_CACHE names a place to keep the result.
func TestBuild(t *testing.T) {
	cache := os.Getenv("BAREROOT_CACHE")
	if cache == "" {
		t.Skip("BAREROOT_CACHE is not set: the system image is made (and checked) only with a cache to keep it in")
	}
	img, err := Build(t.Context(), cache, func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	sum, n, err := hashFile(img.RawZst)
	if err != nil {
		t.Fatal(err)
	}
	if sum != img.SHA256 || n != img.ZstSize {
		t.Errorf("%s: hash %s size %d, image says %s %d", img.RawZst, sum, n, img.SHA256, img.ZstSize)
	}
	t.Logf("%+v", img)
}
