// The deploy benchmark writes one image to one disk by the deploy role of
// bareroot-agent and by "curl | zstd -dc | dd oflag=direct", in turns in the
// same run, and prints the rates of raw image bytes and their ratio.
//
//	go run ./bench/deploy -image FILE.zst -disk DEVICE_OR_FILE [-runs 3]
//	go run ./bench/deploy/guest -image FILE.zst                     runs it in a virtual machine
//
// With -memory FILE in place of -disk it downloads to a file in a tmpfs, as a
// live root does, against "curl" and then "sha256sum".
//
// THE DISK IS OVERWRITTEN. A peer that is missing prints "not measured".
// bareroot also checks the hash, holds the partition table back and zeroes
// holes; the peer writes every byte. Each pair of runs gives one ratio; the
// result is their median.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"bareroot/api"
	"bareroot/bench/figures"
	"bareroot/internal/disk"
	"bareroot/internal/run/role"
	"bareroot/internal/stream"
)

func main() {
	var src api.Source
	image := flag.String("image", "", "zstd image to serve on loopback")
	flag.StringVar(&src.URL, "url", "", "zstd image served elsewhere, with -sha256 and -size")
	flag.StringVar(&src.SHA256, "sha256", "", "of the bytes as downloaded")
	flag.Int64Var(&src.Size, "size", 0, "bytes as downloaded")
	device := flag.String("disk", "", "block device or file; it is overwritten")
	memory := flag.String("memory", "", "file in a tmpfs to download to, in place of -disk")
	runs := flag.Int("runs", 3, "of each")
	raw := flag.Bool("raw", false, "the image is not compressed")
	profile := flag.String("profile", "", "URL to PUT a CPU profile of each of our runs below")
	flag.Parse()
	src.Format, src.Compression = "raw", "zstd"
	if *raw {
		src.Compression = ""
	}
	if err := bench(context.Background(), *image, src, target{*device, *memory}, *runs, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "bench deploy:", err)
		os.Exit(1)
	}
}

// sample is one run: seconds by the wall clock, and of CPU in user and system
// mode, children included.
type sample struct{ wall, user, system float64 }

// target is where the bytes go: one of them.
type target struct{ disk, memory string }

func (t target) peer() (programs []string, name string) {
	if t.memory != "" {
		return []string{"curl", "sha256sum", "sh"}, "curl && sha256sum"
	}
	return []string{"curl", "zstd", "dd", "sh"}, "curl | zstd -dc | dd"
}

func bench(ctx context.Context, image string, src api.Source, t target, runs int, profile string) error {
	if (t.disk == "") == (t.memory == "") || (image == "") == (src.URL == "") || runs < 1 {
		return errors.New("give one of -disk and -memory, and one of -image and -url")
	}
	if image != "" {
		stop, err := serve(image, &src)
		if err != nil {
			return err
		}
		defer stop()
	}
	missing := ""
	programs, name := t.peer()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = p + " is not installed"
		}
	}
	var ours, peer, ratios []float64
	var raw, written int64
	for i := range runs {
		var n, w int64
		a, err := timed(syscall.RUSAGE_SELF, func() (err error) { n, w, err = profiled(ctx, src, t, profile, i); return err })
		if err != nil {
			return err
		}
		raw, written = n, w
		ours = append(ours, float64(n)/1e6/a.wall)
		if missing != "" {
			fmt.Printf("round %d: bareroot %s\n", i+1, a.rate(n))
			continue
		}
		b, err := timed(syscall.RUSAGE_CHILDREN, func() error { return pipeline(ctx, src, t) })
		if err != nil {
			return err
		}
		peer, ratios = append(peer, float64(n)/1e6/b.wall), append(ratios, b.wall/a.wall)
		fmt.Printf("round %d: bareroot %s; peer %s; ratio %.2f\n", i+1, a.rate(n), b.rate(n), b.wall/a.wall)
	}
	fmt.Printf("image: %.0f MB raw, %.0f MB not zeros, %.0f MB to download; median [min-max] of %d\n", float64(raw)/1e6, float64(written)/1e6, float64(src.Size)/1e6, runs)
	fmt.Printf("%-24s %s MB/s\n", "bareroot", figures.Spread(ours, 2))
	if missing != "" {
		fmt.Printf("%-24s not measured (%s)\n", name, missing)
		return nil
	}
	fmt.Printf("%-24s %s MB/s\n%-24s %s\n", name, figures.Spread(peer, 2), "ratio", figures.Spread(ratios, 2))
	return nil
}

func (s sample) rate(n int64) string {
	return fmt.Sprintf("%.1f s, %.1f MB/s (CPU %.1f user + %.1f system)", s.wall, float64(n)/1e6/s.wall, s.user, s.system)
}

func timed(who int, f func() error) (sample, error) {
	var before, after syscall.Rusage
	if err := syscall.Getrusage(who, &before); err != nil {
		return sample{}, err
	}
	start := time.Now()
	err := f()
	wall := time.Since(start).Seconds()
	if err := syscall.Getrusage(who, &after); err != nil {
		return sample{}, err
	}
	seconds := func(a, b syscall.Timeval) float64 { return float64(b.Nano()-a.Nano()) / 1e9 }
	return sample{wall, seconds(before.Utime, after.Utime), seconds(before.Stime, after.Stime)}, err
}

// profiled is one of our runs, with a CPU profile if a URL is given for it.
func profiled(ctx context.Context, src api.Source, t target, profile string, i int) (raw, written int64, err error) {
	ours := func() (int64, int64, error) { return deploy(ctx, src, t.disk) }
	if t.memory != "" {
		ours = func() (int64, int64, error) { return download(ctx, src, t.memory) }
	}
	if profile == "" {
		return ours()
	}
	var b bytes.Buffer
	if err := pprof.StartCPUProfile(&b); err != nil {
		return 0, 0, err
	}
	raw, written, err = ours()
	pprof.StopCPUProfile()
	if err != nil {
		return 0, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("%scpu%d.pprof", profile, i+1), &b)
	if err != nil {
		return 0, 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("keep the profile: the server answered %s", resp.Status)
	}
	return raw, written, nil
}

// serve hands the image out on loopback and fills in src.
func serve(image string, src *api.Source) (stop func(), err error) {
	f, err := os.Open(image)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if src.Size, err = io.Copy(h, f); err != nil {
		return nil, err
	}
	src.SHA256 = hex.EncodeToString(h.Sum(nil))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	src.URL = "http://" + l.Addr().String() + "/image"
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, image) })}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	return func() { s.Close(); <-done }, nil
}

// download is what a live root's download is.
func download(ctx context.Context, src api.Source, path string) (raw, written int64, err error) {
	in, err := (&stream.Fetcher{}).Open(ctx, src)
	if err != nil {
		return 0, 0, err
	}
	defer in.Close()
	out, err := os.Create(path)
	if err != nil {
		return 0, 0, err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 256<<10))
	return n, n, errors.Join(err, out.Close(), os.Remove(path))
}

// deploy is one order carried out by the role.
func deploy(ctx context.Context, src api.Source, target string) (raw, written int64, err error) {
	dev, err := disk.Open(target)
	if err != nil {
		return 0, 0, err
	}
	info := disk.Info{Disk: api.Disk{ID: "bench", Path: target, Size: dev.Size, SectorSize: dev.Sector}}
	dev.Close()
	d := &role.Deploy{
		Fetch: &stream.Fetcher{}, Console: io.Discard,
		Disks: func(context.Context) ([]disk.Info, error) { return []disk.Info{info}, nil },
	}
	var rep result
	err = d.Run(ctx, api.Order{ID: "bench", Attempt: 1, Deploy: &api.DeploySpec{Image: src}}, &rep)
	return rep.r.ImageBytes, rep.r.BytesWritten, err
}

func pipeline(ctx context.Context, src api.Source, t target) error {
	if t.memory != "" {
		c := exec.CommandContext(ctx, "sh", "-c", `curl -sfS -o "$2" "$1" && sha256sum "$2" && rm "$2"`, "sh", src.URL, t.memory)
		out, err := c.CombinedOutput()
		if err != nil {
			return fmt.Errorf("curl && sha256sum: %w: %s", err, strings.TrimSpace(string(out)))
		}
		if !strings.HasPrefix(string(out), src.SHA256) {
			return fmt.Errorf("sha256sum says %s", out)
		}
		return nil
	}
	decode := "| zstd -dcq "
	if src.Compression == "" {
		decode = ""
	}
	c := exec.CommandContext(ctx, "sh", "-c", `curl -sfS "$1" `+decode+`| dd of="$2" bs=4M iflag=fullblock oflag=direct conv=notrunc,fsync status=none`, "sh", src.URL, t.disk)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("curl %s| dd: %w: %s", decode, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// result keeps what the role reports at its end.
type result struct{ r api.Result }

func (*result) Facts(context.Context, api.Facts) error { return nil }
func (*result) Note(string)                            {}
func (*result) Plan(*api.Plan)                         {}
func (*result) Progress(string, int64, int64, int64)   {}
func (r *result) Result(res api.Result)                { r.r = res }
