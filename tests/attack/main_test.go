// Package attack knocks at every door of the real server with what no
// machine and no operator would send: garbage, floods, tricks with paths,
// stolen, old and missing secrets. The server runs as an operator starts it,
// on a bridge in a network namespace; the attacker is in another namespace on
// the same bridge. After each attack the server must live, have counted the
// errors, have given away nothing, and still serve those who behave.
package attack

import (
	"context"
	"fmt"
	"os"
	"testing"

	"bareroot/tests/vm/vmtest"
)

const envNoVM = "BAREROOT_NO_VM"

// TestMain runs the tests in namespaces of their own.
func TestMain(m *testing.M) {
	vmtest.Enter(m, func(context.Context) {}, func() int {
		code := m.Run()
		if err := stopSite(); err != nil {
			fmt.Fprintln(os.Stderr, "attack:", err)
			return max(code, 1)
		}
		return code
	})
}
