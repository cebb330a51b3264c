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

// What the trees for ./test --all have beside their kernel.
var (
	armPackages  = []string{"busybox-static", "e2fsprogs"}
	hostPackages = []string{"busybox-static", "mdadm", "lvm2", "cryptsetup-bin", "btrfs-progs"}
)

func TestMain(m *testing.M) {
	vmtest.Main(m, func(ctx context.Context, cacheDir string) error {
		if os.Getenv("BAREROOT_TEST_ALL") == "" {
			return nil
		}
		_, err := distro.Tree(ctx, cacheDir, "arm64", armPackages...)
		if err == nil {
			_, err = distro.Tree(ctx, cacheDir, "amd64", hostPackages...)
		}
		return err
	})
}
