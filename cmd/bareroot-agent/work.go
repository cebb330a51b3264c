package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/facts"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/agent"
	"bareroot/internal/run/courier"
	"bareroot/internal/run/dialect/native"
	"bareroot/internal/run/role"
	"bareroot/internal/stream"
	"bareroot/internal/version"
)

// patience is for how long a deployment waits for a server or a cable that is
// away: a machine whose disk is half written has nothing better to do.
const patience = 15 * time.Minute

// work puts the parts together, runs the loop, and leaves the outcome.
func work(ctx context.Context, f files, console io.Writer) error {
	var s rdconf.Session
	if err := rdconf.ReadFile(f.session, &s); err != nil {
		return fmt.Errorf("read the session that bareroot-init leaves: %w", err)
	}
	if s.Server.URL == "" || s.Token == "" {
		return fmt.Errorf("session file %s names no server or carries no token", f.session)
	}
	out := &tee{console: console}
	if l, err := os.OpenFile(f.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
		defer l.Close()
		out.log = l
	} else {
		fmt.Fprintf(console, "agent: the boot's log is not kept: %v\n", err)
	}
	fmt.Fprintf(out, "agent: bareroot-agent %s for %s at %s\n", version.String(), s.Name, s.Server.URL)

	hc, err := courier.Client(&s.Server, time.Now)
	if err != nil {
		return err
	}
	g := &facts.Gatherer{Root: "/", BootMAC: s.Server.BootMAC}
	a := &agent.Agent{
		Dialect: native.New(&client.Agent{Base: s.Server.URL, Token: s.Token, HTTP: hc}),
		Roles: map[string]agent.Role{
			api.KindDiscover: &role.Discover{Gather: g.Gather},
			api.KindDeploy: &role.Deploy{
				Fetch:   &stream.Fetcher{Client: hc, Token: s.Token, Origin: s.Server.URL, Log: logger(out), Patience: patience},
				Disks:   g.Disks,
				Console: out,
			},
		},
		Gather: g.Gather, BootID: s.BootID, SeqBase: seqBase(), Console: out, LogPath: f.log,
	}
	o := a.Run(ctx)
	if err := rdconf.WriteFile(f.outcome, o); err != nil {
		return fmt.Errorf("leave the outcome: %w", err)
	}
	return nil
}

// seqBase is where this agent's boot events start: later than those of an
// agent that ran before in this boot, which sent fewer than a hundred a second.
func seqBase() int {
	b, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 1000
	}
	up, _, _ := strings.Cut(string(b), " ")
	sec, err := strconv.ParseFloat(up, 64)
	if err != nil {
		return 1000
	}
	return 1000 + int(sec*100)
}

// logger prints what the download has to say as lines for people.
func logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, at slog.Attr) slog.Attr {
			if at.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return at
		},
	}))
}

// tee writes lines to the console and into the boot's log. The log may fail
// (a full tmpfs) without stopping the work.
type tee struct {
	mu      sync.Mutex
	console io.Writer
	log     io.Writer // nil without one
}

func (t *tee) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.log != nil {
		t.log.Write(p)
	}
	t.console.Write(p)
	return len(p), nil
}
