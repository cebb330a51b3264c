package client

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bareroot/api"
)

func TestEventsReconnects(t *testing.T) {
	var calls atomic.Int32
	c := testClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := calls.Add(1)
		if n == 2 {
			http.Error(w, "restarting", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, ": hello\n\nevent: change\ndata: {\"machine\":\"m%d\"}\n\ndata: {\"order\":\"cut", n)
	}))
	var got []string
	for ch, err := range c.Events(t.Context()) {
		switch {
		case err != nil:
			got = append(got, "error")
		case ch == api.Change{}:
			got = append(got, "read again")
		default:
			got = append(got, ch.Machine)
		}
		if len(got) == 6 {
			break
		}
	}
	want := []string{"read again", "m1", "error", "error", "read again", "m3"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEventsStopsWhenRefused(t *testing.T) {
	c := testClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"title":"Unauthorized","status":401}`)
	}))
	n := 0
	for _, err := range c.Events(t.Context()) {
		if n++; err == nil {
			t.Error("a change without a stream")
		}
	}
	if n != 1 {
		t.Errorf("%d yields, want the refusal once", n)
	}
}

func readEvents(b []byte) (out []string, err error) {
	r := eventReader{scan: bufio.NewScanner(bytes.NewReader(b)), alive: func() {}}
	for {
		data, err := r.next()
		if err != nil {
			return out, err
		}
		out = append(out, string(data))
	}
}

func TestEventReader(t *testing.T) {
	tests := map[string]struct {
		give string
		want []string
	}{
		"two":                  {give: "data: a\n\ndata: b\n\n", want: []string{"a", "b"}},
		"CRLF":                 {give: "data: a\r\n\r\n", want: []string{"a"}},
		"joined lines":         {give: "data: a\ndata:b\n\n", want: []string{"a\nb"}},
		"one space only":       {give: "data:  a\n\n", want: []string{" a"}},
		"names, ids, comments": {give: ": hi\nid: 7\nevent: x\nretry: 1\ndata: a\n\n", want: []string{"a"}},
		"no data":              {give: "event: x\n\ndata\n\ndata: a\n\n", want: []string{"a"}},
		"not ended":            {give: "data: a\n\ndata: b\n", want: []string{"a"}},
		"empty":                {give: ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := readEvents([]byte(tt.give))
			if err != io.ErrUnexpectedEOF {
				t.Errorf("error %v, want %v", err, io.ErrUnexpectedEOF)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func FuzzEventReader(f *testing.F) {
	f.Add([]byte("data: {}\n\n"))
	f.Add([]byte(": x\r\nevent: y\r\ndata: a\r\ndata: b\r\n\r\ndata"))
	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := readEvents(b)
		if err == nil {
			t.Fatal("ends without an error")
		}
		for _, e := range events {
			first, _, _ := strings.Cut(e, "\n")
			if e == "" || !strings.Contains(string(b), first) {
				t.Errorf("event %q is not in the input %q", e, b)
			}
		}
	})
}
