package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/api"
	"bareroot/internal/rdconf"
)

// sizeLimit is what the agent may weigh in a ramdisk.
const sizeLimit = 14 << 20

// The agent must never link what belongs to the server or the builder.
func TestImports(t *testing.T) {
	c := exec.Command("go", "list", "-deps", ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 50 {
		t.Fatalf("go list names only %d packages", len(deps))
	}
	for _, d := range deps {
		for _, bad := range []string{
			"bareroot/internal/build", "bareroot/internal/serve", "bareroot/internal/lab", "bareroot/internal/run/boot",
			"github.com/spf13/cobra", "go.yaml.in/yaml", "modernc.org/sqlite", "database/sql", "html/template", "text/template",
			"github.com/danielgtaylor/huma", "github.com/stmcginnis/gofish", "runtime/cgo",
		} {
			if d == bad || strings.HasPrefix(d, bad+"/") && bad != "database/sql" { // google/uuid implements a type of database/sql/driver
				t.Errorf("bareroot-agent links %s", d)
			}
		}
	}
}

func TestSize(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "bareroot-agent")
	c := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	st, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", st.Size())
	if st.Size() > sizeLimit {
		t.Errorf("bareroot-agent has %d bytes, %d are allowed", st.Size(), sizeLimit)
	}
}

// The whole program against a server that orders a reboot.
func TestWork(t *testing.T) {
	var facts api.Facts
	var events []api.Event
	var log bytes.Buffer
	mux := http.NewServeMux()
	mux.HandleFunc("POST /agent/v1/facts", func(w http.ResponseWriter, r *http.Request) {
		json.NewDecoder(r.Body).Decode(&facts)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /agent/v1/next", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(api.Order{ID: "o1", Kind: api.KindReboot, Attempt: 1})
	})
	mux.HandleFunc("POST /agent/v1/events", func(w http.ResponseWriter, r *http.Request) {
		var b api.EventBatch
		json.NewDecoder(r.Body).Decode(&b)
		events = append(events, b.Events...)
		json.NewEncoder(w).Encode(api.EventReply{})
	})
	mux.HandleFunc("POST /agent/v1/log", func(w http.ResponseWriter, r *http.Request) {
		log.ReadFrom(r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer tok" {
			t.Errorf("%s without the token", r.URL.Path)
		}
		mux.ServeHTTP(w, r)
	}))
	defer srv.Close()
	dir := t.TempDir()
	at := func(n string) string { return filepath.Join(dir, n) }
	if err := rdconf.WriteFile(at("session"), rdconf.Session{Server: rdconf.Server{URL: srv.URL}, Token: "tok", Name: "m1", BootID: "b1"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("log"), []byte("init: hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run(context.Background(), []string{"--session", at("session"), "--outcome", at("outcome"), "--log", at("log")}, &out, &out); code != 0 {
		t.Fatalf("exit %d:\n%s", code, &out)
	}
	var o rdconf.Outcome
	if err := rdconf.ReadFile(at("outcome"), &o); err != nil {
		t.Fatal(err)
	}
	if o.Action != rdconf.ActionReboot {
		t.Errorf("outcome %+v", o)
	}
	if facts.Version != 1 || facts.Kernel == "" || facts.CPU.Threads == 0 || facts.Memory.Usable == 0 {
		t.Errorf("facts %+v", facts)
	}
	if len(events) != 2 || events[0].Seq < 1000 || events[0].BootID != "b1" || events[1].State != api.StateDone {
		t.Errorf("events %+v", events)
	}
	if s := log.String(); !strings.HasPrefix(s, "init: hello\nagent: ") || !strings.Contains(s, "next: reboot") {
		t.Errorf("log %q", s)
	}
}

func TestNoSession(t *testing.T) {
	var out bytes.Buffer
	if code := run(context.Background(), []string{"--session", "/nonexistent"}, &out, &out); code != 1 || !strings.Contains(out.String(), "session") {
		t.Errorf("exit %d: %s", code, &out)
	}
	if code := run(context.Background(), []string{"x"}, &out, &out); code != 2 {
		t.Errorf("exit %d for an unknown argument", code)
	}
}
