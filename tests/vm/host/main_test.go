// Package host boots ramdisks made for one machine: on the machine itself
// (hostonly), and for a machine of another architecture.
package host

import (
	"context"
	"os"
	"testing"

	"bareroot/internal/lab/distro"
	"bareroot/tests/vm/vmtest"
)

// foreign is what the tree of another architecture has beside its kernel.
var foreign = []string{"busybox-static", "e2fsprogs"}

func TestMain(m *testing.M) {
	vmtest.Main(m, func(ctx context.Context, cacheDir string) error {
		if os.Getenv("BAREROOT_TEST_ALL") == "" {
			return nil // TestARM64 is for ./test --all
		}
		_, err := distro.Foreign(ctx, cacheDir, "arm64", foreign...)
		return err
	})
}
