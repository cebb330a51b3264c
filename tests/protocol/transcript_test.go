// Package protocol holds the agent protocol by transcripts: what agents of
// earlier builds said and were answered. A ramdisk in the field is not
// rebuilt when its server is, so today's server must give every recorded
// request an answer of the same meaning, and today's agent must get along
// with every recorded reply.
//
// A transcript is recorded from the real agent with
//
//	go test ./tests/protocol -run TestRecord -update -name agent-v1-WHAT
//
// and never recorded again: a file that exists is what an old agent says.
package protocol

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

var (
	update = flag.Bool("update", false, "record a transcript of today's agent")
	name   = flag.String("name", "agent-v1", "the transcript's file name, without .json")
)

// Placeholders of what differs from run to run.
const (
	nonceWord = "{{nonce}}"
	tokenWord = "{{token}}"
)

// Step is one exchange, or what the operator did between two.
type Step struct {
	Operator string  `json:"operator,omitempty"` // an order's image, or its kind
	Request  Message `json:"request,omitzero"`
	Reply    Message `json:"reply,omitzero"`
}

// Message is a request or a reply. A body is JSON, or else text.
type Message struct {
	Method string            `json:"method,omitempty"`
	Path   string            `json:"path,omitempty"`
	Status int               `json:"status,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	JSON   json.RawMessage   `json:"json,omitempty"`
	Text   string            `json:"text,omitempty"`
}

// headers are those with a meaning in the protocol.
var headers = []string{"Authorization", "Content-Type", "Range", "Content-Range", "Content-Length"}

func message(h http.Header, body []byte) Message {
	m := Message{Header: map[string]string{}}
	for _, k := range headers {
		if v := h.Get(k); v != "" {
			m.Header[k] = v
		}
	}
	if json.Valid(body) && len(body) > 0 && body[0] == '{' {
		m.JSON = json.RawMessage(bytes.TrimSpace(body))
	} else {
		m.Text = string(body)
	}
	return m
}

// recorder is a proxy that writes down what passes.
type recorder struct {
	next http.Handler

	mu    sync.Mutex
	steps []Step
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	got := httptest.NewRecorder()
	r.next.ServeHTTP(got, req)
	s := Step{Request: message(req.Header, body), Reply: message(got.Header(), got.Body.Bytes())}
	s.Request.Method, s.Request.Path, s.Reply.Status = req.Method, req.URL.RequestURI(), got.Code
	r.mu.Lock()
	r.steps = append(r.steps, s)
	r.mu.Unlock()
	maps.Copy(w.Header(), got.Header())
	w.WriteHeader(got.Code)
	_, _ = w.Write(got.Body.Bytes()) // the agent notices a reply cut short
}

// has says whether a request went by whose body has the text.
func (r *recorder) has(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.steps, func(s Step) bool { return strings.Contains(string(s.Request.JSON), text) })
}

func (r *recorder) operator(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, Step{Operator: what})
}

// write keeps the transcript, with placeholders for the secrets.
func write(t *testing.T, steps []Step, nonce, token string) {
	t.Helper()
	b, err := json.MarshalIndent(steps, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	s := strings.NewReplacer(nonce, nonceWord, token, tokenWord).Replace(string(b))
	path := filepath.Join("testdata", *name+".json")
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		t.Fatalf("%v: a transcript that exists is what an old agent says; record under another -name", err)
	}
	_, err = f.WriteString(s + "\n")
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		t.Fatal(err)
	}
}

// transcripts reads all of them.
func transcripts(t *testing.T) map[string][]Step {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no transcripts in testdata: %v", err)
	}
	out := map[string][]Step{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		var steps []Step
		if err := json.Unmarshal(b, &steps); err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		out[strings.TrimSuffix(filepath.Base(p), ".json")] = steps
	}
	return out
}

// volatile fields have the same type in each run, not the same value.
var volatile = []string{"token", "server_time", "created", "updated"}

// missing says what of the recorded value is not, or is different, in now.
// What is new in now is no matter: an old agent ignores it.
func missing(path string, recorded, now any) []string {
	switch r := recorded.(type) {
	case map[string]any:
		n, ok := now.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T now", path, now)}
		}
		var out []string
		for _, k := range slices.Sorted(maps.Keys(r)) {
			v, ok := n[k]
			switch {
			case !ok:
				out = append(out, path+"."+k+" is gone")
			case slices.Contains(volatile, k):
				if s, ok := v.(string); !ok || s == "" {
					out = append(out, fmt.Sprintf("%s.%s is %v now", path, k, v))
				}
			default:
				out = append(out, missing(path+"."+k, r[k], v)...)
			}
		}
		return out
	case []any:
		n, ok := now.([]any)
		if !ok || len(n) != len(r) {
			return []string{fmt.Sprintf("%s is %v now", path, now)}
		}
		var out []string
		for i := range r {
			out = append(out, missing(fmt.Sprintf("%s[%d]", path, i), r[i], n[i])...)
		}
		return out
	}
	if recorded != now {
		return []string{fmt.Sprintf("%s is %v now, was %v", path, now, recorded)}
	}
	return nil
}

func decode(t *testing.T, b []byte) any {
	t.Helper()
	if len(b) == 0 {
		return nil
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}
