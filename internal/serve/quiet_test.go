package serve

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestQuiet(t *testing.T) {
	var b bytes.Buffer
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	log := slog.New(newQuiet(slog.NewTextHandler(&b, nil), func() time.Time { return at }))
	for range logBurst + 800 {
		log.With("part", "x").Warn("garbage")
	}
	for range 300 {
		log.Error("trouble")
	}
	log.Info("something else")
	if n := strings.Count(b.String(), "msg=garbage"); n != logBurst {
		t.Errorf("%d lines of garbage", n)
	}
	if n := strings.Count(b.String(), "msg=trouble"); n != 300 {
		t.Errorf("%d of 300 errors", n)
	}
	if !strings.Contains(b.String(), "something else") {
		t.Error("another message is left out")
	}
	at = at.Add(logWindow)
	b.Reset()
	log.Info("something else")
	if !strings.Contains(b.String(), `msg="log lines left out" of=garbage lines=800`) {
		t.Errorf("does not say what was left out: %s", &b)
	}
}
