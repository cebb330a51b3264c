// Package courier runs init's errands in bareroot-agent: hello, the boot's
// events and log, downloads of roots. It decides nothing and tries nothing
// again but a download that broke: init does.
package courier

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/run/errand"
	"bareroot/internal/stream"
)

// piece is how much of the log one call carries.
const piece = 64 << 10

// Courier runs one errand at a time. The zero value works.
type Courier struct {
	// Log makes a logger that writes lines to w; nil: downloads are silent.
	Log func(w io.Writer) *slog.Logger

	agent *client.Agent // of the last report
}

// Do runs an errand.
func (c *Courier) Do(ctx context.Context, e errand.Errand, tell func(errand.Answer)) errand.Answer {
	var a errand.Answer
	var err error
	switch {
	case e.Hello != nil:
		a, err = hello(ctx, e.Hello)
	case e.Report != nil:
		a, err = c.report(ctx, e.Report)
	case e.Size != nil:
		a, err = c.size(ctx, e.Size)
	case e.Fetch != nil:
		a, err = c.fetch(ctx, e.Fetch, tell)
	case e.Lookup != "":
		a.Addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip", e.Lookup)
	default:
		err = fmt.Errorf("an errand of a kind that is not known here")
	}
	if err != nil {
		f := errand.Failed(err)
		a.Error, a.Problem = f.Error, f.Problem
	}
	return a
}

func hello(ctx context.Context, h *errand.Hello) (a errand.Answer, err error) {
	// The clock is set from the answer: until then it judges no certificate.
	hc, err := Client(&h.Server, func() time.Time { return time.Time{} })
	if err != nil {
		return a, err
	}
	defer hc.CloseIdleConnections() // what follows is judged by the time, too
	a.Hello, err = (&client.Agent{Base: h.Server.URL, HTTP: hc}).Hello(ctx, h.Request)
	return a, err
}

func (c *Courier) report(ctx context.Context, r *errand.Report) (a errand.Answer, err error) {
	a.Offset = r.Offset
	if c.agent == nil || c.agent.Base != r.Server.URL || c.agent.Token != r.Token {
		hc, err := Client(&r.Server, time.Now)
		if err != nil {
			return a, err
		}
		c.agent = &client.Agent{Base: r.Server.URL, Token: r.Token, HTTP: hc}
	}
	if len(r.Events) > 0 {
		if _, err := c.agent.Events(ctx, api.EventBatch{Events: r.Events}); err != nil {
			return a, err
		}
		a.Events = len(r.Events)
	}
	f, err := os.Open(r.Log)
	if err != nil {
		return a, nil // there is no log
	}
	defer f.Close()
	buf := make([]byte, piece)
	for {
		n, err := f.ReadAt(buf, a.Offset)
		if n > 0 {
			if err := c.agent.Log(ctx, a.Offset, buf[:n]); err != nil {
				return a, err
			}
			a.Offset += int64(n)
		}
		if err == io.EOF || n == 0 {
			return a, nil
		}
	}
}

// fetcher downloads for d; what it has to say becomes lines of the boot's log.
func (c *Courier) fetcher(d *errand.Download, tell func(errand.Answer)) (*stream.Fetcher, error) {
	hc, err := Client(d.Server, time.Now)
	if err != nil {
		return nil, err
	}
	f := &stream.Fetcher{Client: hc}
	if d.Server != nil {
		f.Token, f.Origin = d.Token, d.Server.URL
	}
	if c.Log != nil && tell != nil {
		f.Log = c.Log(lines(func(s string) { tell(errand.Answer{Text: s}) }))
	}
	return f, nil
}

func (c *Courier) size(ctx context.Context, d *errand.Download) (a errand.Answer, err error) {
	f, err := c.fetcher(d, nil)
	if err != nil {
		return a, err
	}
	a.Total, err = f.Size(ctx, d.URL)
	return a, err
}

// fetch downloads an image into a file.
func (c *Courier) fetch(ctx context.Context, d *errand.Download, tell func(errand.Answer)) (a errand.Answer, err error) {
	f, err := c.fetcher(d, tell)
	if err != nil {
		return a, err
	}
	in, err := open(ctx, f, d)
	if err != nil {
		return a, err
	}
	defer in.Close()
	out, err := os.OpenFile(d.To, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return a, fmt.Errorf("download %s: %w", d.URL, err)
	}
	a.Done, err = pass(out, in, func(done, rate int64) { tell(errand.Answer{Done: done, Total: d.Size, Rate: rate}) })
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return a, err
}

func open(ctx context.Context, f *stream.Fetcher, d *errand.Download) (io.ReadCloser, error) {
	if d.SHA256 != "" {
		return f.Open(ctx, api.Source{URL: d.URL, SHA256: d.SHA256, Size: d.Size, Format: "squashfs"})
	}
	// Nothing says that it is what is wanted, so it is not worth the token either.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL, nil)
	if err != nil {
		return nil, err
	}
	resp, err := f.Client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s answered %s", d.URL, resp.Status)
	}
	return resp.Body, nil
}

// pass copies and tells every second, and at the end, how far it is.
func pass(out io.Writer, in io.Reader, tell func(done, rate int64)) (int64, error) {
	buf := make([]byte, 256<<10)
	var n int64
	start := time.Now()
	told := start
	for {
		k, err := in.Read(buf)
		if k > 0 {
			if _, werr := out.Write(buf[:k]); werr != nil {
				return n, fmt.Errorf("keep the image in memory after %d bytes: %w", n, werr)
			}
			n += int64(k)
		}
		if now := time.Now(); now.Sub(told) >= time.Second || err == io.EOF {
			told = now
			tell(n, int64(float64(n)/max(now.Sub(start).Seconds(), 0.001)))
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err // it says what was downloaded from where
		}
	}
}

// lines is a writer of lines.
type lines func(string)

func (l lines) Write(b []byte) (int, error) {
	l(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}
