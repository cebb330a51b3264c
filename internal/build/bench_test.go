package build

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkFile builds a ramdisk from a real kernel's tree, which
// BAREROOT_TEST_SYSROOT must name; busybox stands for our programs.
func BenchmarkFile(b *testing.B) {
	root := os.Getenv("BAREROOT_TEST_SYSROOT")
	busybox := os.Getenv("BAREROOT_TEST_BUSYBOX")
	if root == "" || busybox == "" {
		b.Skip("BAREROOT_TEST_SYSROOT and BAREROOT_TEST_BUSYBOX do not name a sysroot with a kernel and a static busybox: not measured")
	}
	o := Options{Sysroot: root, Busybox: busybox, Init: busybox, Agent: busybox, Roles: []string{"deploy"}, BuildID: "dev"}
	out := filepath.Join(b.TempDir(), "ramdisk")
	for b.Loop() {
		res, err := File(b.Context(), o, out, true)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(res.Modules), "modules")
	}
}
