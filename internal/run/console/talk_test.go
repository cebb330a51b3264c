package console

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"
)

func TestTalk(t *testing.T) {
	r := NewReaper()
	defer r.Stop()
	for name, c := range map[string]struct {
		script, tell, hear string
		end                string
		said               string
	}{
		"answers":          {`read x; echo "got $x"; cat >/dev/null`, "word\n", "got word\n", "exit code 0", ""},
		"ends by itself":   {`echo bye; echo reason >&2; exit 3`, "", "bye\n", "exit code 3", "reason"},
		"does not read":    {`echo here; sleep 100`, strings.Repeat("x", 1<<20), "here\n", "killed, as it did not end", ""},
		"with descendants": {`sleep 100 & echo here; cat >/dev/null`, "", "here\n", "exit code 0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			said := make(chan string, 10)
			p, err := r.Talk([]string{"/bin/sh", "-c", c.script}, func(s string) { said <- s })
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(c.end, "killed") {
				p.grace = time.Minute // a busy machine's
			}
			told := make(chan struct{})
			go func() { defer close(told); _, _ = io.WriteString(p, c.tell) }()
			got, err := bufio.NewReader(p).ReadString('\n')
			if got != c.hear {
				t.Errorf("heard %q, %v", got, err)
			}
			if how := p.End(); how != c.end {
				t.Errorf("ended: %s, want %s", how, c.end)
			}
			select {
			case <-told:
			case <-time.After(time.Minute):
				t.Error("who writes to it hangs")
			}
			if c.said != "" && <-said != c.said {
				t.Error("its last words are lost")
			}
		})
	}
	if _, err := r.Talk([]string{"/no/such"}, nil); err == nil {
		t.Error("started a program that does not exist")
	}
}
