// The deploy benchmark writes one image to one disk by the deploy role of
// bareroot-agent and by "curl | zstd -dc | dd oflag=direct", in turns in the
// same run, and prints the rates of raw image bytes and their ratio.
//
//	go run ./bench/deploy -image FILE.zst -disk DEVICE_OR_FILE [-runs 3]
//	deploy-bench -url URL -sha256 HEX -size N -disk DEVICE         (in a guest: CGO_ENABLED=0 go build ./bench/deploy)
//
// THE DISK IS OVERWRITTEN. A peer that is missing prints "not measured".
// bareroot also checks the hash, holds the partition table back and zeroes
// holes; the peer writes every byte.
package main

import (
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
	"strings"
	"time"

	"bareroot/api"
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
	target := flag.String("disk", "", "block device or file; it is overwritten")
	runs := flag.Int("runs", 3, "of each")
	flag.Parse()
	src.Format, src.Compression = "raw", "zstd"
	if err := bench(context.Background(), *image, src, *target, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench deploy:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, image string, src api.Source, target string, runs int) error {
	if target == "" || (image == "") == (src.URL == "") || runs < 1 {
		return errors.New("give -disk, and one of -image and -url")
	}
	if image != "" {
		stop, err := serve(image, &src)
		if err != nil {
			return err
		}
		defer stop()
	}
	missing := ""
	for _, p := range []string{"curl", "zstd", "dd", "sh"} {
		if _, err := exec.LookPath(p); err != nil {
			missing = p + " is not installed"
		}
	}
	var ours, peer []float64
	var raw int64
	for range runs {
		n, t, err := bareroot(ctx, src, target)
		if err != nil {
			return err
		}
		raw, ours = n, append(ours, float64(n)/t.Seconds())
		if missing == "" {
			t, err := pipeline(ctx, src.URL, target)
			if err != nil {
				return err
			}
			peer = append(peer, float64(n)/t.Seconds())
		}
	}
	fmt.Printf("image: %.0f MB raw, %.0f MB compressed; best of %d\n", float64(raw)/1e6, float64(src.Size)/1e6, runs)
	fmt.Printf("bareroot                        %7.1f MB/s\n", best(ours)/1e6)
	if missing != "" {
		fmt.Printf("curl | zstd -dc | dd            not measured (%s)\n", missing)
		return nil
	}
	fmt.Printf("curl | zstd -dc | dd            %7.1f MB/s\nratio                           %7.2f\n", best(peer)/1e6, best(ours)/best(peer))
	return nil
}

func best(v []float64) float64 {
	b := v[0]
	for _, x := range v {
		b = max(b, x)
	}
	return b
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

func bareroot(ctx context.Context, src api.Source, target string) (int64, time.Duration, error) {
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
	start := time.Now()
	err = d.Run(ctx, api.Order{ID: "bench", Attempt: 1, Deploy: &api.DeploySpec{Image: src}}, &rep)
	return rep.r.ImageBytes, time.Since(start), err
}

func pipeline(ctx context.Context, url, target string) (time.Duration, error) {
	start := time.Now()
	c := exec.CommandContext(ctx, "sh", "-c", `curl -sfS "$1" | zstd -dcq | dd of="$2" bs=4M iflag=fullblock oflag=direct conv=notrunc,fsync status=none`, "sh", url, target)
	out, err := c.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("curl | zstd | dd: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return time.Since(start), nil
}

// result keeps what the role reports at its end.
type result struct{ r api.Result }

func (*result) Facts(context.Context, api.Facts) error { return nil }
func (*result) Note(string)                            {}
func (*result) Plan(*api.Plan)                         {}
func (*result) Progress(string, int64, int64, int64)   {}
func (r *result) Result(res api.Result)                { r.r = res }
