package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bareroot/api"
)

// Bounds of the agent protocol's calls.
const (
	agentTimeout = 30 * time.Second // a call, beside the time it asks the server to wait
	agentReply   = 4 << 20          // bytes of a reply
)

// Agent speaks the agent protocol: what a booted machine says to its own
// server. It is used by bareroot-init and bareroot-agent, needs nothing but
// the standard library, and does not retry: its callers know how long they
// may wait. An answer other than success is an *api.Problem.
type Agent struct {
	Base  string       // http://10.0.0.1:8080, no path
	Token string       // session token, set after Hello
	HTTP  *http.Client // nil = http.DefaultClient
}

// Hello exchanges the nonce of this boot. It does not set Token.
func (a *Agent) Hello(ctx context.Context, req api.HelloRequest) (*api.HelloReply, error) {
	var reply api.HelloReply
	if err := a.postJSON(ctx, "/agent/v1/hello", req, &reply); err != nil {
		return nil, fmt.Errorf("say hello to %s: %w", a.Base, err)
	}
	if reply.Token == "" {
		return nil, fmt.Errorf("say hello to %s: the reply carries no session token", a.Base)
	}
	return &reply, nil
}

// Facts reports the machine's hardware inventory.
func (a *Agent) Facts(ctx context.Context, f api.Facts) error {
	if err := a.postJSON(ctx, "/agent/v1/facts", f, nil); err != nil {
		return fmt.Errorf("report facts to %s: %w", a.Base, err)
	}
	return nil
}

// Next asks for an order; the server may take up to wait to answer. Nil
// without an error means that there is nothing to do yet.
func (a *Agent) Next(ctx context.Context, wait time.Duration) (*api.Order, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+agentTimeout)
	defer cancel()
	path := "/agent/v1/next?wait=" + strconv.Itoa(int(wait.Seconds()))
	body, status, err := a.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s for an order: %w", a.Base, err)
	}
	if status == http.StatusNoContent {
		return nil, nil
	}
	var o api.Order
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, fmt.Errorf("ask %s for an order: read the reply: %w", a.Base, err)
	}
	if o.ID == "" || o.Kind == "" {
		return nil, fmt.Errorf("ask %s for an order: the reply has no order id or kind", a.Base)
	}
	return &o, nil
}

// Events reports what happened, oldest first.
func (a *Agent) Events(ctx context.Context, batch api.EventBatch) (*api.EventReply, error) {
	var reply api.EventReply
	if err := a.postJSON(ctx, "/agent/v1/events", batch, &reply); err != nil {
		return nil, fmt.Errorf("report events to %s: %w", a.Base, err)
	}
	return &reply, nil
}

// Log sends the piece of the boot's log that starts at offset.
func (a *Agent) Log(ctx context.Context, offset int64, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, agentTimeout)
	defer cancel()
	path := "/agent/v1/log?offset=" + strconv.FormatInt(offset, 10)
	if _, _, err := a.do(ctx, http.MethodPost, path, "text/plain; charset=utf-8", data); err != nil {
		return fmt.Errorf("send log to %s: %w", a.Base, err)
	}
	return nil
}

func (a *Agent) postJSON(ctx context.Context, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, agentTimeout)
	defer cancel()
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	body, status, err := a.do(ctx, http.MethodPost, path, "application/json", b)
	if err != nil || out == nil || status == http.StatusNoContent {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("read the reply: %w", err)
	}
	return nil
}

func (a *Agent) do(ctx context.Context, method, path, kind string, in []byte) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.Base, "/")+path, bytes.NewReader(in))
	if err != nil {
		return nil, 0, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if a.Token != "" {
		req.Header.Set("Authorization", "Bearer "+a.Token)
	}
	hc := a.HTTP
	if hc == nil {
		hc = http.DefaultClient
	}
	resp, err := hc.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, agentReply+1))
	if err != nil {
		return nil, 0, fmt.Errorf("read the reply: %w", err)
	}
	if len(body) > agentReply {
		return nil, 0, errors.New("read the reply: longer than 4 MiB")
	}
	if resp.StatusCode/100 != 2 {
		return nil, resp.StatusCode, agentProblem(resp, body)
	}
	return body, resp.StatusCode, nil
}

// agentProblem makes an error of an answer other than success, also of one
// that did not come from our server.
func agentProblem(resp *http.Response, body []byte) *api.Problem {
	p := &api.Problem{}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") &&
		json.Unmarshal(body, p) == nil && p.Title != "" {
		p.Status = resp.StatusCode
		return p
	}
	return &api.Problem{Title: "the server answered " + resp.Status, Status: resp.StatusCode}
}
