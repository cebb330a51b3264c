// Package stream moves bytes in one pass from the network towards a disk:
// downloads that resume and are believed only when their size and hash are
// right, read-ahead between the steps, decompression with bounded memory. It
// stages nothing in RAM or on disk and knows no disks (package disk does).
//
// Resuming follows RFC 9110: Range with If-Range where the server gave a
// strong entity tag.
package stream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"bareroot/api"
)

// Defaults of a Fetcher.
const (
	defaultTries = 8
	defaultIdle  = 30 * time.Second
	defaultPause = 500 * time.Millisecond
	maxPause     = 15 * time.Second
	hashBound    = 20 * time.Second // for reading a wrong answer to the end, to name its hash
	progress     = 64 << 10         // bytes after which a broken connection counts from one again
)

// Fetcher downloads a Source. The zero value works.
type Fetcher struct {
	Client *http.Client
	Token  string       // bearer token, sent only to URLs of Origin, also across redirects
	Origin string       // http://10.0.0.1:8080
	Log    *slog.Logger // nil = silent

	Tries int           // in a row without progress, 0 = 8
	Idle  time.Duration // longest silence of the server, 0 = 30 s
	Pause time.Duration // before the second try, doubled up to 15 s; 0 = 0.5 s
	// Patience is for how long without progress it goes on beyond Tries.
	Patience time.Duration
}

// MismatchError is a download that is not what was ordered.
type MismatchError struct {
	URL        string
	Why        string // "ended early", "its hash is wrong", ...
	Size, Want int64  // bytes offered or read, bytes ordered (0 = any)
	Sum        string // sha256 of what came, "" if it was not read to its end
	WantSum    string
	Type       string // Content-Type
}

func (e *MismatchError) Error() string {
	sum := "sha256 " + e.Sum
	if e.Sum == "" {
		sum = "not read to the end"
	}
	want := "sha256 " + e.WantSum
	if e.Want > 0 {
		want = fmt.Sprintf("%d bytes with %s", e.Want, want)
	}
	msg := fmt.Sprintf("download %s: %s: got %d bytes (%s), wanted %s", e.URL, e.Why, e.Size, sum, want)
	if strings.HasPrefix(e.Type, "text/html") {
		msg += "; the server sent a web page: is a proxy or a login page in between?"
	}
	return msg
}

// Open starts the download: when it returns, the server has answered and
// offers the right number of bytes. Reads give the bytes as transferred;
// io.EOF comes only if size and sha256 are right, otherwise a *MismatchError.
// A broken or silent connection is resumed within the Fetcher's bounds.
func (f *Fetcher) Open(ctx context.Context, src api.Source) (io.ReadCloser, error) {
	if len(src.SHA256) != 64 || strings.Trim(src.SHA256, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("download %s: %q is no sha256 in lower-case hex; nothing is downloaded without one", src.URL, src.SHA256)
	}
	u, err := url.Parse(src.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("download %q: not an http or https URL", src.URL)
	}
	if src.Size < 0 {
		return nil, fmt.Errorf("download %s: size %d is negative", src.URL, src.Size)
	}
	d := &download{
		f: f, src: src, url: u, size: src.Size, sum: sha256.New(), parent: ctx,
		tries: f.Tries, idle: f.Idle, pause: f.Pause, log: f.Log,
	}
	if d.tries <= 0 {
		d.tries = defaultTries
	}
	if d.idle <= 0 {
		d.idle = defaultIdle
	}
	if d.pause <= 0 {
		d.pause = defaultPause
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.client = f.client()
	if err := d.connect(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Size asks how many bytes a URL has, 0 if the server does not say. It is no
// promise.
func (f *Fetcher) Size(ctx context.Context, url string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return 0, fmt.Errorf("ask for the size of %s: %w", url, err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	f.authorize(req)
	resp, err := f.client().Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask for the size of %s: %w", url, err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("ask for the size of %s: the server answered %s", url, resp.Status)
	}
	return max(resp.ContentLength, 0), nil
}

// client is the configured client with redirects that carry the token only
// to its origin. net/http compares host names without ports, which is not
// enough: another port is another program.
func (f *Fetcher) client() *http.Client {
	c := http.Client{}
	if f.Client != nil {
		c = *f.Client
	}
	c.Timeout = 0 // a download takes as long as it takes; silence is bounded
	c.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("stopped after 10 redirects")
		}
		f.authorize(req)
		return nil
	}
	return &c
}

func (f *Fetcher) authorize(req *http.Request) {
	req.Header.Del("Authorization")
	o, err := url.Parse(f.Origin)
	if f.Token != "" && err == nil && o.Host != "" && origin(o) == origin(req.URL) {
		req.Header.Set("Authorization", "Bearer "+f.Token)
	}
}

func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

func hexSum(h interface{ Sum([]byte) []byte }) string { return hex.EncodeToString(h.Sum(nil)) }
