package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"bareroot/api"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bareroot": main, "dracut": main})
}

// TestScript runs testdata/script: the real program against a fake server,
// which each script has for itself at $BAREROOT_SERVER.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Not below $WORK: a socket's path must be short.
			dir, err := os.MkdirTemp("", "bareroot-cli-")
			if err != nil {
				return err
			}
			path := filepath.Join(dir, "s")
			srv, err := serveFake(path)
			if err != nil {
				return err
			}
			env.Defer(func() {
				srv.CloseClientConnections()
				srv.Close()
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			})
			env.Setenv("BAREROOT_SERVER", "unix://"+path)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"jsontrip": jsonTrip,
			"kernel":   kernel,
		},
	})
}

// kernel makes a file that looks like a bzImage: kernel FILE [CONTENT].
func kernel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: kernel FILE [CONTENT]")
	}
	b := make([]byte, 1024)
	copy(b[0x202:], "HdrS")
	b = append(b, strings.Join(args[1:], " ")...)
	name := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
	ts.Check(os.WriteFile(name, b, 0o644))
}

// exits runs a command and wants an exit code: exits 4 bareroot ...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("%v", err)
	}
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// jsonTrip wants standard output to be one JSON document of the given type
// with no field that the type does not know and none lost.
func jsonTrip(ts *testscript.TestScript, neg bool, args []string) {
	types := map[string]any{
		"machines": &struct {
			Machines []api.Machine `json:"machines"`
		}{},
		"orders": &struct {
			Orders []api.Order `json:"orders"`
		}{},
		"images": &struct {
			Images []api.Image `json:"images"`
		}{},
		"bootsets": &struct {
			BootSets []api.BootSet `json:"bootsets"`
		}{},
		"machine": &api.Machine{}, "order": &api.Order{}, "detail": &api.OrderDetail{}, "image": &api.Image{},
		"bootset": &api.BootSet{}, "power": &api.PowerReply{}, "status": &api.Status{}, "login": &api.LoginCode{},
		"empty": &struct{}{}, "log": &struct {
			Log string `json:"log"`
		}{},
	}
	if neg || len(args) != 1 || types[args[0]] == nil {
		ts.Fatalf("usage: jsontrip TYPE")
	}
	out := []byte(ts.ReadFile("stdout"))
	var plain, typed any
	ts.Check(json.Unmarshal(out, &plain))
	v := types[args[0]]
	ts.Check(json.Unmarshal(out, v))
	again, err := json.Marshal(v)
	ts.Check(err)
	ts.Check(json.Unmarshal(again, &typed))
	if d := cmp.Diff(plain, typed); d != "" {
		ts.Fatalf("JSON differs after a round trip through the API's type:\n%s", d)
	}
}
