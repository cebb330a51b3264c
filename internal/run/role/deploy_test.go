package role

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/internal/disk"
	"bareroot/internal/stream"
)

const (
	imageSize = 24 << 20
	diskSize  = 64 << 20
)

func TestDeploy(t *testing.T) {
	image := makeImage(t)
	packed := pack(t, image)
	changed := bytes.Clone(packed)
	changed[len(changed)/2] ^= 0x10
	other := bytes.Clone(image)
	other[20<<20]++
	html := []byte("<html>sign in</html>")
	serve := func(b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "x", time.Time{}, bytes.NewReader(b))
		}
	}
	good := api.Source{SHA256: sum(packed), Size: int64(len(packed)), Format: "raw", Compression: "zstd", RawSize: imageSize}
	plain := api.Source{SHA256: sum(image), Size: imageSize, Format: "raw"}
	with := func(s api.Source, f func(*api.Source)) api.Source { f(&s); return s }
	for name, tc := range map[string]struct {
		handler  http.HandlerFunc
		source   api.Source
		old      bool // the disk holds data
		erase    bool
		dry      bool
		deployed bool
		touched  bool // although it failed
		want     []string
	}{
		"zstd on a blank disk": {handler: serve(packed), source: good, deployed: true},
		"plain over old data":  {handler: serve(image), source: plain, old: true, erase: true, deployed: true},
		"raw size unknown":     {handler: serve(packed), source: with(good, func(s *api.Source) { s.RawSize = 0 }), deployed: true},
		"old data, no word":    {handler: serve(packed), source: good, old: true, want: []string{"holds data", "--erase"}},
		"dry run":              {handler: serve(packed), source: good, dry: true},
		"changed byte in zstd": {handler: serve(changed), source: good, touched: true, want: []string{sum(changed), sum(packed), "its hash is wrong", "does not boot"}},
		"changed byte in raw":  {handler: serve(other), source: plain, touched: true, want: []string{sum(other), sum(image)}},
		"truncated on the server": {handler: serve(packed[:len(packed)-1000]), source: good,
			want: []string{"another file", sum(packed[:len(packed)-1000]), sum(packed)}},
		"truncated, nobody knows the length": {handler: func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			w.Write(packed[:len(packed)/2])
		}, source: good, touched: true, want: []string{"ended early", sum(packed[:len(packed)/2]), sum(packed)}},
		"web page instead": {handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Write(html)
		}, source: good, want: []string{"web page", sum(html), sum(packed)}},
		"raw size wrong": {handler: serve(packed), source: with(good, func(s *api.Source) { s.RawSize = 20 << 20 }), touched: true,
			want: []string{"longer than the 20971520 bytes", "the image itself is bad"}},
		"too large, size known": {handler: serve(packed), source: with(good, func(s *api.Source) { s.RawSize = diskSize + 1 }), want: []string{"too small"}},
		"no zstd":               {handler: serve(image), source: with(plain, func(s *api.Source) { s.Compression = "zstd" }), want: []string{"the image itself is bad"}},
		"unknown format":        {handler: serve(image), source: with(plain, func(s *api.Source) { s.Format = "qcow2" }), want: []string{"not supported"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(tc.handler)
			defer srv.Close()
			path := newDisk(t, tc.old)
			before, _ := os.ReadFile(path)
			tc.source.URL = "/images/x"
			rec := &recorder{}
			d := &Deploy{
				Fetch: &stream.Fetcher{Origin: srv.URL, Tries: 3, Pause: time.Millisecond, Idle: time.Minute},
				Disks: fileDisk(path), Console: io.Discard,
			}
			o := api.Order{ID: "o1", Attempt: 1, Kind: api.KindDeploy, Deploy: &api.DeploySpec{Image: tc.source, Erase: tc.erase, DryRun: tc.dry}}
			err := d.Run(context.Background(), o, rec)
			if (err != nil) != (tc.want != nil) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
			if got := isDeployed(t, path, image); got != tc.deployed {
				t.Errorf("deployed: %v", got)
			}
			after, _ := os.ReadFile(path)
			if !tc.deployed && bytes.Equal(before, after) == tc.touched {
				t.Errorf("touched: %v", !bytes.Equal(before, after))
			}
			if tc.deployed {
				if got := fmt.Sprint(rec.phases); got != "[check write verify finish]" {
					t.Errorf("phases %s", got)
				}
				if rec.result.ImageBytes != imageSize || rec.result.BytesRead != tc.source.Size || rec.result.Disk != "serial-test" || len(rec.result.Seconds) != 4 {
					t.Errorf("result %+v", rec.result)
				}
				if rec.result.BytesWritten >= 8<<20 {
					t.Errorf("wrote %d bytes: holes were written", rec.result.BytesWritten)
				}
			}
			if tc.touched {
				if m := disk.ParseMark(after); m == nil || m.Order != "o1" {
					t.Errorf("mark %v", m)
				}
			}
		})
	}
}

func TestDeployCancel(t *testing.T) {
	image := makeImage(t)
	hold := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(image)))
		w.Write(image[:8<<20])
		w.(http.Flusher).Flush()
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(hold)
	path := newDisk(t, false)
	ctx, cancel := context.WithCancel(context.Background())
	rec := &recorder{on: func(phase string, done int64) {
		if phase == "write" && done > 0 {
			cancel()
		}
	}}
	d := &Deploy{Fetch: &stream.Fetcher{Origin: srv.URL}, Disks: fileDisk(path), Console: io.Discard}
	err := d.Run(ctx, api.Order{ID: "o1", Deploy: &api.DeploySpec{Image: api.Source{URL: srv.URL, SHA256: sum(image), Size: imageSize}}}, rec)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	if disk.ParseMark(b) == nil {
		t.Error("no mark on the disk")
	}
}

// A machine that lost power right after the last write, before it could say
// so, gets the same order again: the data on its disk is that order's own.
func TestDeployAgainAfterUnreportedEnd(t *testing.T) {
	image := makeImage(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x", time.Time{}, bytes.NewReader(image))
	}))
	defer srv.Close()
	path := newDisk(t, false)
	d := &Deploy{Fetch: &stream.Fetcher{Origin: srv.URL}, Disks: fileDisk(path), Console: io.Discard}
	o := api.Order{ID: "o1", Attempt: 1, Deploy: &api.DeploySpec{Image: api.Source{URL: srv.URL, SHA256: sum(image), Size: imageSize}}}
	if err := d.Run(context.Background(), o, &recorder{}); err != nil {
		t.Fatal(err)
	}
	o.Attempt = 2
	if err := d.Run(context.Background(), o, &recorder{}); err == nil {
		t.Fatal("overwrote a finished deployment without any sign that it is this order's")
	}
	o.CutAt = "finish"
	if err := d.Run(context.Background(), o, &recorder{}); err != nil {
		t.Fatal(err)
	}
	o.CutAt = "check"
	if err := d.Run(context.Background(), o, &recorder{}); err == nil {
		t.Fatal("an attempt that was cut before it wrote opened the disk")
	}
}

// TestDeployKilled kills the process in the middle of the pass, again and
// again, then lets it finish.
func TestDeployKilled(t *testing.T) {
	if spec := os.Getenv("BAREROOT_TEST_DEPLOY"); spec != "" {
		killedChild(t, spec)
		return
	}
	image := makeImage(t)
	var mu sync.Mutex
	limit := 4 << 20 // bytes before the server stalls
	stalled := make(chan struct{}, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n := min(limit, len(image))
		mu.Unlock()
		w.Header().Set("Content-Length", fmt.Sprint(len(image)))
		w.Write(image[:n])
		w.(http.Flusher).Flush()
		if n < len(image) {
			stalled <- struct{}{}
			<-r.Context().Done()
		}
	}))
	defer srv.Close()
	path := newDisk(t, true)
	order, err := json.Marshal(api.Order{ID: "o1", Attempt: 1, Deploy: &api.DeploySpec{Erase: true, Image: api.Source{URL: srv.URL, SHA256: sum(image), Size: imageSize}}})
	if err != nil {
		t.Fatal(err)
	}
	start := func() *exec.Cmd {
		c := exec.Command(os.Args[0], "-test.run=TestDeployKilled$", "-test.v")
		c.Env = append(os.Environ(), "BAREROOT_TEST_DEPLOY="+path+"\n"+string(order))
		return c
	}
	for _, n := range []int{6 << 20, 13 << 20} {
		mu.Lock()
		limit = n
		mu.Unlock()
		c := start()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		<-stalled
		// The child is reading what was sent; wait until it has begun to write.
		for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			_, _, mark, err := disk.Content(path, diskSize)
			if err == nil && mark != nil {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the child does not write: %v", err)
			}
		}
		c.Process.Kill()
		c.Wait()
		if isDeployed(t, path, image) {
			t.Fatal("a killed deployment looks whole")
		}
	}
	mu.Lock()
	limit = len(image)
	mu.Unlock()
	order = bytes.Replace(order, []byte(`"erase":true`), []byte(`"erase":false`), 1) // the mark is word enough
	if out, err := start().CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !isDeployed(t, path, image) {
		t.Fatal("not deployed after all")
	}
}

func killedChild(t *testing.T, spec string) {
	path, order, _ := strings.Cut(spec, "\n")
	var o api.Order
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		t.Fatal(err)
	}
	d := &Deploy{Fetch: &stream.Fetcher{}, Disks: fileDisk(path), Console: os.Stderr}
	if err := d.Run(context.Background(), o, &recorder{}); err != nil {
		t.Fatal(err)
	}
}
