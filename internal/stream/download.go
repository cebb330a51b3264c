package stream

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bareroot/api"
)

// errIdle is the cause of a try that was cut because the server was silent.
var errIdle = errors.New("the server sent nothing for too long")

// download is one Open: a position in the bytes, over as many connections as
// it takes. It is used by one goroutine.
type download struct {
	f      *Fetcher
	client *http.Client
	log    *slog.Logger
	src    api.Source
	url    *url.URL
	parent context.Context
	tries  int
	idle   time.Duration
	pause  time.Duration

	off    int64 // bytes delivered and hashed
	size   int64 // in all, 0 while unknown
	sum    hash.Hash
	etag   string    // strong, from the first answer
	kind   string    // Content-Type of the newest answer
	failed int       // tries without progress
	stuck  time.Time // when the first of these failed
	base   int64     // off when failed was last reset

	body   io.ReadCloser
	skip   int64 // bytes to drop: the server ignored Range
	watch  *time.Timer
	ctx    context.Context // of the current try
	cancel context.CancelCauseFunc
	err    error // sticky
}

// Read gives the next bytes.
func (d *download) Read(p []byte) (int, error) {
	for d.err == nil {
		if d.size > 0 && d.off == d.size {
			d.err = d.finish()
			break
		}
		if len(p) == 0 {
			return 0, nil
		}
		n, err := d.readBody(p)
		if n > 0 {
			d.sum.Write(p[:n])
			d.off += int64(n)
			if d.off-d.base >= progress {
				d.base, d.failed = d.off, 0
			}
			return n, nil // an error comes again at the next read
		}
		switch {
		case err == nil:
		case err == io.EOF: // a whole answer, and no more to come
			d.err = d.finish()
		default:
			d.err = d.again(err)
			if d.err == nil {
				d.err = d.connect()
			}
		}
	}
	return 0, d.err
}

// readBody reads at most up to the known size, with the watch running.
func (d *download) readBody(p []byte) (int, error) {
	if d.body == nil {
		return 0, io.ErrUnexpectedEOF
	}
	if d.size > 0 && int64(len(p)) > d.size-d.off {
		p = p[:d.size-d.off]
	}
	d.watch.Reset(d.idle)
	defer d.watch.Stop()
	for d.skip > 0 {
		n, err := d.body.Read(p[:min(int64(len(p)), d.skip)])
		d.skip -= int64(n)
		if err != nil && d.skip > 0 {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, d.cause(err)
		}
		d.watch.Reset(d.idle)
	}
	n, err := d.body.Read(p)
	if n == 0 && err != nil && err != io.EOF {
		err = d.cause(err)
	}
	return n, err
}

// cause is why a try broke: silence and cancellation show as a closed
// connection otherwise.
func (d *download) cause(err error) error {
	if c := context.Cause(d.ctx); c != nil {
		return c
	}
	return err
}

// finish decides at the end of the bytes.
func (d *download) finish() error {
	sum := hexSum(d.sum)
	m := &MismatchError{URL: d.src.URL, Size: d.off, Want: d.src.Size, Sum: sum, WantSum: d.src.SHA256, Type: d.kind}
	switch {
	case d.size > 0 && d.off < d.size:
		m.Why = "ended early"
	case sum != d.src.SHA256:
		m.Why = "its hash is wrong"
	default:
		return io.EOF
	}
	return m
}

// again counts a broken try and waits before the next one.
func (d *download) again(err error) error {
	d.drop()
	if e := d.parent.Err(); e != nil {
		return fmt.Errorf("download %s: stopped after %d bytes: %w", d.src.URL, d.off, context.Cause(d.parent))
	}
	if d.failed++; d.failed == 1 {
		d.stuck = time.Now()
	}
	if d.failed >= d.tries && time.Since(d.stuck) >= d.f.Patience {
		return fmt.Errorf("download %s: gave up at byte %d after %d tries: %w", d.src.URL, d.off, d.failed, err)
	}
	pause := min(d.pause<<min(d.failed-1, 10), maxPause)
	d.log.Warn("download broken, trying again", "url", d.src.URL, "at", d.off, "try", d.failed, "in", pause.String(), "error", err)
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-d.parent.Done():
		return fmt.Errorf("download %s: stopped after %d bytes: %w", d.src.URL, d.off, context.Cause(d.parent))
	}
}

// connect makes a request for the bytes from off on, as often as it takes.
func (d *download) connect() error {
	for {
		retry, err := d.request()
		if err == nil {
			return nil
		}
		if !retry {
			d.drop()
			return err
		}
		if err := d.again(err); err != nil {
			return err
		}
	}
}

// request is one try. It reports whether an error may go away.
func (d *download) request() (retry bool, err error) {
	d.ctx, d.cancel = context.WithCancelCause(d.parent)
	cancel := d.cancel
	d.watch = time.AfterFunc(d.idle, func() { cancel(errIdle) })
	req, err := http.NewRequestWithContext(d.ctx, http.MethodGet, d.src.URL, nil)
	if err != nil {
		return false, fmt.Errorf("download %s: %w", d.src.URL, err)
	}
	req.Header.Set("Accept-Encoding", "identity") // the hash is of the bytes as stored
	d.f.authorize(req)
	if d.off > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.off))
		if d.etag != "" {
			req.Header.Set("If-Range", d.etag)
		}
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return true, d.cause(err)
	}
	d.watch.Stop()
	d.body = resp.Body
	return d.accept(resp)
}

// accept checks the answer's head against what is wanted.
func (d *download) accept(resp *http.Response) (retry bool, err error) {
	total := int64(-1)
	tag := resp.Header.Get("ETag")
	d.kind = resp.Header.Get("Content-Type")
	switch s := resp.StatusCode; {
	case s == http.StatusOK:
		total, d.skip = resp.ContentLength, d.off
		if d.off > 0 && d.etag != "" && tag != d.etag {
			return false, fmt.Errorf("download %s: it changed on the server while it was being read (entity tag %s, now %s)", d.src.URL, d.etag, tag)
		}
	case s == http.StatusPartialContent && d.off > 0:
		d.skip = 0
		from, t, ok := contentRange(resp.Header.Get("Content-Range"))
		if !ok || from != d.off {
			return false, fmt.Errorf("download %s: asked for the bytes from %d on, the server sent %q", d.src.URL, d.off, resp.Header.Get("Content-Range"))
		}
		total = t
	case s >= 500 || s == http.StatusRequestTimeout || s == http.StatusTooManyRequests:
		return true, fmt.Errorf("the server answered %s", resp.Status)
	default:
		return false, fmt.Errorf("download %s: the server answered %s", d.src.URL, resp.Status)
	}
	if d.off == 0 && strings.HasPrefix(tag, `"`) {
		d.etag = tag
	}
	if total >= 0 {
		if d.size == 0 && total > 0 && d.src.Size == 0 {
			d.size = total
		}
		if total != d.size && (d.size > 0 || total == 0) {
			return false, d.otherSize(resp, total)
		}
	}
	return false, nil
}

// otherSize reads an answer of the wrong size to its end, within bounds, so
// that the error can name its hash too.
func (d *download) otherSize(resp *http.Response, total int64) error {
	m := &MismatchError{
		URL: resp.Request.URL.String(), Why: "the server offers another file",
		Size: total, Want: d.src.Size, WantSum: d.src.SHA256, Type: d.kind,
	}
	if d.off > 0 && resp.StatusCode == http.StatusPartialContent {
		return m
	}
	cancel := d.cancel
	t := time.AfterFunc(hashBound, func() { cancel(errIdle) })
	defer t.Stop()
	h := sha256.New()
	if n, err := io.Copy(h, d.body); err == nil && n == total {
		m.Sum = hexSum(h)
	}
	return m
}

// drop ends the current try.
func (d *download) drop() {
	if d.watch != nil {
		d.watch.Stop()
	}
	if d.cancel != nil {
		d.cancel(context.Canceled)
	}
	if d.body != nil {
		d.body.Close()
		d.body = nil
	}
}

// Close ends the download; bytes not read yet are lost.
func (d *download) Close() error {
	d.drop()
	if d.err == nil {
		d.err = fmt.Errorf("download %s: closed", d.src.URL)
	}
	return nil
}

// contentRange reads "bytes 5-9/10"; total is -1 for "*".
func contentRange(s string) (from, total int64, ok bool) {
	rest, ok := strings.CutPrefix(s, "bytes ")
	if !ok {
		return 0, 0, false
	}
	span, all, ok := strings.Cut(rest, "/")
	if !ok {
		return 0, 0, false
	}
	first, _, ok := strings.Cut(span, "-")
	if !ok {
		return 0, 0, false
	}
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || from < 0 {
		return 0, 0, false
	}
	if all == "*" {
		return from, -1, true
	}
	total, err = strconv.ParseInt(all, 10, 64)
	return from, total, err == nil && total >= 0
}
