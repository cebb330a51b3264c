package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"bareroot/internal/serve/admin"
	"bareroot/internal/serve/inventory"
)

// TestPush runs testdata/push: the real program, the hooks of packaging/, and
// a real admin door over a real inventory.
func TestPush(t *testing.T) {
	packaging, err := filepath.Abs("../../packaging")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/push",
		Setup: func(env *testscript.Env) error {
			// Not below $WORK: a socket's path must be short.
			dir, err := os.MkdirTemp("", "bareroot-push-")
			if err != nil {
				return err
			}
			env.Defer(func() {
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			})
			inv, err := inventory.New(inventory.Config{StateDir: filepath.Join(dir, "state"), BaseURL: "http://127.0.0.1:8080"})
			if err != nil {
				return err
			}
			door, err := admin.New(admin.Config{Inventory: inv, TokenFile: filepath.Join(dir, "admin.token")})
			if err != nil {
				return err
			}
			l, err := net.Listen("unix", filepath.Join(dir, "s"))
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- door.Serve(ctx, l) }()
			env.Defer(func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if err := inv.Close(); err != nil {
					t.Error(err)
				}
			})
			env.Setenv("BAREROOT_SERVER", "unix://"+filepath.Join(dir, "s"))
			env.Setenv("PACKAGING", packaging)
			env.Setenv("BAREROOT_PUSH", filepath.Join(packaging, "push-new-kernel"))
			env.Setenv("BAREROOT_PUSH_CONF", filepath.Join(env.WorkDir, "push.conf"))
			env.Setenv("BAREROOT_PUSH_STATE", filepath.Join(env.WorkDir, "state"))
			env.Setenv("TMPDIR", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "kernel": kernel},
	})
}
