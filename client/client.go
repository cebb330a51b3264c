// Package client speaks bareroot's two HTTP protocols, which package api
// describes: Client is for operators (the admin door), Agent for booted
// machines (the provisioning door). It needs nothing but the standard library
// and package api, because bareroot-init links it. It keeps no state of the
// server and does not retry, except that Client.Events connects again.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"bareroot/api"
)

// DefaultServer is where a server of this machine listens for its operator.
const DefaultServer = "unix:///var/lib/bareroot/admin.sock"

// Bounds of the admin protocol's calls.
const (
	dialTimeout  = 10 * time.Second
	shortTimeout = 30 * time.Second // reading the inventory, placing an order
	powerTimeout = 2 * time.Minute  // the server talks to a slow BMC meanwhile
	hashTimeout  = 2 * time.Hour    // the server reads a whole image meanwhile
	maxReply     = 64 << 20         // bytes of a JSON reply
)

// Options say which server, and how to be let in.
type Options struct {
	Server    string // unix:///path, http://host:port or https://host:port; "" = DefaultServer
	TokenFile string // file with the bearer token; "" = none, as a unix socket needs none
}

// Client calls the admin API. Its methods return an *api.Problem (wrapped)
// when the server refuses, and an *UnreachableError when it cannot be asked.
type Client struct {
	server string // as given, for messages
	base   string // scheme and host, no path
	token  string
	http   *http.Client
}

// UnreachableError says that no connection to the server could be made, or
// that it did not answer in time. It wraps the *net.OpError of the dial.
type UnreachableError struct {
	Server string
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("reach the server at %s: %v", e.Server, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// New makes a client. It does not connect yet.
func New(o Options) (*Client, error) {
	if o.Server == "" {
		o.Server = DefaultServer
	}
	u, err := url.Parse(o.Server)
	if err != nil {
		return nil, fmt.Errorf("server address %q: %w", o.Server, err)
	}
	c := &Client{server: o.Server}
	if o.TokenFile != "" {
		if c.token, err = readToken(o.TokenFile); err != nil {
			return nil, err
		}
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       time.Minute,
		ExpectContinueTimeout: time.Second,
	}
	switch {
	case u.Scheme == "unix" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		path := u.Path
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
		c.base = "http://localhost"
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && strings.Trim(u.Path, "/") == "" && u.User == nil:
		if u.Scheme == "http" && c.token != "" && !loopback(u.Hostname()) {
			return nil, fmt.Errorf("server address %q: the token would cross the network in the clear; use https, or an ssh tunnel to the server's loopback", o.Server)
		}
		c.base = u.Scheme + "://" + u.Host
	default:
		return nil, fmt.Errorf("server address %q: not of the form unix:///path, http://host:port or https://host:port", o.Server)
	}
	c.http = &http.Client{
		Transport: transport,
		// The API never redirects; a captive portal or a wrong port may.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func readToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the server's token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("read the server's token: %s does not hold one word", path)
	}
	return token, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// call sends in (unless nil) as JSON and reads the reply into out (unless nil).
// doing says what is tried on which object, for errors.
func (c *Client) call(ctx context.Context, timeout time.Duration, doing, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	var body io.Reader
	header := http.Header{"Accept": {"application/json"}}
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		body = bytes.NewReader(b)
		header.Set("Content-Type", "application/json")
	}
	resp, err := c.send(ctx, method, path, header, body)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := decode(ctx, resp, out); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// send makes one request and returns the reply if it is a success. The caller
// closes its body.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header = header
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.transportError(ctx, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.refusal(resp)
}

// transportError strips net/http's repetition of method and URL, which says
// nothing for a unix socket, and keeps the cause.
func (c *Client) transportError(ctx context.Context, err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" && ctx.Err() == nil {
		return &UnreachableError{Server: c.server, Err: op}
	}
	if why := context.Cause(ctx); ctx.Err() == context.DeadlineExceeded && why != context.DeadlineExceeded {
		return &UnreachableError{Server: c.server, Err: why} // our own bound, see call
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("ask the server at %s: %w", c.server, cause(ctx, err))
}

// cause is why a call with ctx failed with err. A cancelled context stays
// context.Canceled, whatever its own cause is (signal.NotifyContext gives the
// signal), and a bound that ran out says which.
func cause(ctx context.Context, err error) error {
	switch ctx.Err() {
	case nil:
		return err
	case context.Canceled:
		return context.Canceled
	}
	return context.Cause(ctx)
}

// refusal makes an error of an answer other than success. Only the server's
// own documents become an *api.Problem: a proxy's 404 says nothing about the
// machine that was asked for.
func (c *Client) refusal(resp *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("ask the server at %s: read the answer %s: %w", c.server, resp.Status, err)
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var p api.Problem
	if kind == "application/problem+json" && json.Unmarshal(b, &p) == nil && (p.Title != "" || p.Detail != "") {
		p.Status = resp.StatusCode
		return &p
	}
	return fmt.Errorf("ask the server at %s: it answered %s, which is not bareroot's admin API", c.server, resp.Status)
}

func decode(ctx context.Context, resp *http.Response, out any) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/json" {
		return fmt.Errorf("read the server's answer: it is %q, not JSON; is this bareroot's admin API?", kind)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", cause(ctx, err))
	}
	if len(b) > maxReply {
		return fmt.Errorf("read the server's answer: longer than %d bytes", maxReply)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}
