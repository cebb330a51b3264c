package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"bareroot/api"
	"bareroot/internal/cmdline"
	"bareroot/internal/stream"
	"bareroot/internal/sys"
)

// live is root=live:URL: an image downloaded into memory.
type live struct {
	spec     cmdline.Root
	sha256   string
	size     int64
	insecure bool
	reserve  int64 // bytes of memory to leave
	path     string
	image    image
}

func newLive(spec cmdline.Root, l cmdline.Line) (Root, error) {
	v := &live{spec: spec, reserve: int64(l.Int(256, 0, 1<<30, "rd.minmem")) << 20, path: filepath.Join(liveMedium, "LiveOS/squashfs.img")}
	v.insecure = l.Bool(false, "bareroot.live.insecure")
	if s, ok := l.Get("bareroot.live.size"); ok {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("bareroot.live.size=%s: the size is a number of bytes", s)
		}
		v.size = n
	}
	s, _ := l.Get("bareroot.live.sha256")
	switch {
	case cmdline.IsSHA256(s):
		v.sha256 = strings.ToLower(s)
	case s != "":
		return nil, fmt.Errorf("bareroot.live.sha256=%s: a sha256 has 64 hexadecimal digits", s)
	case !v.insecure:
		return nil, fmt.Errorf("root=%s: the image is not believed without its hash; give bareroot.live.sha256=HEX, or bareroot.live.insecure=1 to run whatever answers at that address", spec)
	}
	return v, nil
}

func (v *live) Describe() string { return v.spec.String() }
func (v *live) Network() bool    { return true }

func (v *live) Prepare(ctx context.Context, e *Env) error {
	if v.size == 0 {
		v.size = v.askSize(ctx, e)
	}
	free, err := memAvailable()
	if err != nil {
		return err
	}
	if v.size > 0 && free < v.size+v.reserve {
		return fmt.Errorf("live image of %d MiB does not fit: %d MiB of memory are free and %d MiB must remain (rd.minmem)", v.size>>20, free>>20, v.reserve>>20)
	}
	limit := v.size + 1<<20
	if v.size == 0 {
		limit = free - v.reserve
		e.Log.Warnf("the size of %s is not known; the download may use up to %d MiB of memory", v.spec.URL, limit>>20)
	}
	if limit <= 0 {
		return fmt.Errorf("no memory for a live image: %d MiB are free and %d MiB must remain (rd.minmem)", free>>20, v.reserve>>20)
	}
	if err := v.image.mount("live", liveMedium, "tmpfs", fmt.Sprintf("nosuid,nodev,mode=0700,size=%d", limit)); err != nil {
		return err
	}
	// What the mount will need loads during the download.
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, name := range []string{"loop", "squashfs", "overlay"} {
			e.Module(name)
		}
	})
	err = v.download(ctx, e)
	wg.Wait()
	if err != nil {
		v.Stop()
		return err
	}
	return sys.Mount("live", liveMedium, "", "remount,ro,nosuid,nodev")
}

// askSize asks for the image's size before memory is spent. The answer only
// guards the memory; it is no promise.
func (v *live) askSize(ctx context.Context, e *Env) int64 {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, v.spec.URL, nil)
	if err != nil {
		return 0
	}
	if e.Token != "" && sameOrigin(v.spec.URL, e.Origin) {
		req.Header.Set("Authorization", "Bearer "+e.Token)
	}
	resp, err := e.HTTP.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ContentLength < 0 {
		return 0
	}
	return resp.ContentLength
}

func sameOrigin(url, origin string) bool {
	return origin != "" && strings.HasPrefix(url, strings.TrimSuffix(origin, "/")+"/")
}

func (v *live) open(ctx context.Context, e *Env) (io.ReadCloser, error) {
	if v.sha256 != "" {
		f := stream.Fetcher{Client: e.HTTP, Token: e.Token, Origin: e.Origin}
		return f.Open(ctx, api.Source{URL: v.spec.URL, SHA256: v.sha256, Size: v.size, Format: "squashfs"})
	}
	e.Log.Warnf("%s is run without a hash (bareroot.live.insecure)", v.spec.URL)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.spec.URL, nil)
	if err != nil {
		return nil, err
	}
	resp, err := e.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("download live image: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("download live image: %s answered %s", v.spec.URL, resp.Status)
	}
	return resp.Body, nil
}

func (v *live) download(ctx context.Context, e *Env) error {
	start := time.Now()
	e.Log.Infof("live root: downloading %s (%d MiB)", v.spec.URL, v.size>>20)
	in, err := v.open(ctx, e)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(v.path), 0o755); err != nil {
		return fmt.Errorf("download live image: %w", err)
	}
	out, err := os.OpenFile(v.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("download live image: %w", err)
	}
	n, err := v.copy(e, out, in, start)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if v.size > 0 && n != v.size {
		return fmt.Errorf("download live image: %s gave %d bytes, %d were announced", v.spec.URL, n, v.size)
	}
	if n == 0 {
		return errors.New("download live image: " + v.spec.URL + " is empty")
	}
	d := max(time.Since(start).Seconds(), 0.001)
	checked := "sha256 as ordered"
	if v.sha256 == "" {
		checked = "not checked"
	}
	e.Log.Infof("live root: %d MiB in %.1f s (%.1f MB/s), %s", n>>20, d, float64(n)/1e6/d, checked)
	return nil
}

func (v *live) copy(e *Env, out io.Writer, in io.Reader, start time.Time) (int64, error) {
	buf := make([]byte, 256<<10)
	var n int64
	told, said := start, start
	for {
		k, err := in.Read(buf)
		if k > 0 {
			if _, werr := out.Write(buf[:k]); werr != nil {
				return n, fmt.Errorf("keep live image in memory after %d bytes: %w", n, werr)
			}
			n += int64(k)
		}
		now := time.Now()
		rate := int64(float64(n) / max(now.Sub(start).Seconds(), 0.001))
		if e.Progress != nil && (now.Sub(told) >= time.Second || err == io.EOF) {
			told = now
			e.Progress(n, v.size, rate)
		}
		if now.Sub(said) >= 5*time.Second {
			said = now
			e.Log.Infof("live root: %d of %d MiB, %.1f MB/s", n>>20, v.size>>20, float64(rate)/1e6)
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err // it says what was downloaded from where
		}
	}
}

func (v *live) Mount(ctx context.Context, e *Env) error {
	if err := v.image.file(ctx, e, v.path, liveImage); err != nil {
		return err
	}
	return v.image.overlay(ctx, e)
}

func (v *live) HandOver(_ context.Context, e *Env) error { return handOver(e) }
func (v *live) Stop()                                    { v.image.stop() }

func memAvailable() (int64, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("read free memory: %w", err)
	}
	for _, l := range strings.Split(string(b), "\n") {
		f := strings.Fields(l)
		if len(f) >= 2 && f[0] == "MemAvailable:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("read free memory: /proc/meminfo has no MemAvailable")
}
