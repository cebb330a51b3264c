package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/errand"
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
		n, err := v.askSize(ctx, e)
		if err != nil {
			e.Log.Debugf("%v", err) // the download says it again
		}
		v.size = n
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
func (v *live) askSize(ctx context.Context, e *Env) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	a, err := e.Download(ctx, errand.Errand{Size: &errand.Download{URL: v.spec.URL, SHA256: v.sha256}}, nil)
	return a.Total, err
}

func (v *live) download(ctx context.Context, e *Env) error {
	start := time.Now()
	e.Log.Infof("live root: downloading %s (%d MiB)", v.spec.URL, v.size>>20)
	if v.sha256 == "" {
		e.Log.Warnf("%s is run without a hash (bareroot.live.insecure)", v.spec.URL)
	}
	if err := os.MkdirAll(filepath.Dir(v.path), 0o755); err != nil {
		return fmt.Errorf("download live image: %w", err)
	}
	said := start
	a, err := e.Download(ctx, errand.Errand{Fetch: &errand.Download{URL: v.spec.URL, SHA256: v.sha256, Size: v.size, To: v.path}}, func(a errand.Answer) {
		if a.Text != "" {
			e.Log.Warnf("live root: %s", a.Text)
			return
		}
		if e.Progress != nil {
			e.Progress(a.Done, v.size, a.Rate)
		}
		if now := time.Now(); now.Sub(said) >= 5*time.Second {
			said = now
			e.Log.Infof("live root: %d of %d MiB, %.1f MB/s", a.Done>>20, v.size>>20, float64(a.Rate)/1e6)
		}
	})
	n := a.Done
	if err != nil {
		return fmt.Errorf("download live image: %w", err)
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
