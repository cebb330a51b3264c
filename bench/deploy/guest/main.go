// The guest deploy benchmark boots a ramdisk of "bareroot build" in a virtual
// machine like those of the demo, with the deploy benchmark and the
// distribution's curl, zstd and dd added as one more segment, and lets the
// deploy role and the pipeline write the same image in turns, from an HTTP
// server on the machine's bridge.
//
//	go run ./bench/deploy/guest -image FILE.zst [-runs 5] [-cpus 1] [-profile DIR]
//	go run ./bench/deploy/guest -image FILE.squashfs -tmpfs
//	go run ./bench/deploy/guest -live FILE.squashfs
//
// The last form boots the ramdisk as it is to a live root, and prints what
// init says about the download.
//
// It needs QEMU, and a kernel as the lab's tests do (BAREROOT_CACHE). The
// programs are those of -bin; bench/deploy is compiled by "go build". The
// measuring itself is bench/deploy's: see there.
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
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/cpio"
	"bareroot/internal/lab"
	"bareroot/internal/lab/console"
	"bareroot/internal/lab/distro"
	"bareroot/internal/lab/netns"
	"bareroot/internal/lab/qemu"
)

type options struct {
	image, live, bin, busybox, profile, cache string
	runs, cpus, memory                        int
	bound                                     time.Duration
	raw, tmpfs                                bool
}

func main() {
	lab.Reexec()
	var o options
	flag.StringVar(&o.image, "image", "", "image to deploy: FILE.zst, or a raw image with -raw")
	flag.StringVar(&o.live, "live", "", "squashfs to boot to, in place of -image")
	flag.BoolVar(&o.raw, "raw", false, "the image is not compressed")
	flag.BoolVar(&o.tmpfs, "tmpfs", false, "download -image as it is to a tmpfs, as a live root does, in place of deploying it")
	flag.StringVar(&o.bin, "bin", "bin", "directory with bareroot, bareroot-init and bareroot-agent")
	flag.StringVar(&o.busybox, "busybox", "/bin/busybox", "static busybox")
	flag.StringVar(&o.profile, "profile", "", "keep CPU profiles of our runs here")
	flag.IntVar(&o.runs, "runs", 5, "of each")
	flag.IntVar(&o.cpus, "cpus", 1, "of the machine")
	flag.IntVar(&o.memory, "memory", 1024, "MiB of the machine")
	flag.DurationVar(&o.bound, "bound", 30*time.Minute, "for everything in the guest")
	flag.Parse()
	var err error
	if o.cache, err = distro.CacheDir(); err != nil {
		fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	if netns.Inside() {
		if err := run(ctx, o); err != nil {
			fail(err)
		}
		return
	}
	if (o.image == "") == (o.live == "") {
		fail(errors.New("give one of -image and -live"))
	}
	// The private network reaches no package archive.
	if _, err := distro.Kernel(ctx, o.cache); err != nil {
		fail(err)
	}
	c, err := netns.Start(netns.Options{Args: os.Args[1:], Run: true, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	if err != nil {
		fail(err)
	}
	err = c.Wait(ctx)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(max(exit.ExitCode(), 1))
	} else if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench deploy guest:", err)
	os.Exit(1)
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "bareroot-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bridge := netns.DefaultBridge()
	if err := bridge.Up(); err != nil {
		return err
	}
	const tap = "tap0"
	if err := bridge.Tap(tap); err != nil {
		return err
	}
	addr := strings.Split(bridge.Addrs[0].String(), "/")[0]
	url, stop, err := serve(net.JoinHostPort(addr, "0"), o)
	if err != nil {
		return err
	}
	defer stop()

	k, err := distro.Kernel(ctx, o.cache)
	if err != nil {
		return err
	}
	set := filepath.Join(dir, "bootset")
	build := exec.CommandContext(ctx, filepath.Join(o.bin, "bareroot"), "build", "--kernel", k.Image, "--modules-dir", k.ModulesDir, "--kver", k.Version,
		"--busybox", o.busybox, "--role", "deploy", "--cmdline", "console=ttyS0,115200", "--format", "dir", "-o", set)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("bareroot build: %w: %s", err, bytes.TrimSpace(out))
	}
	segments, err := filepath.Glob(filepath.Join(set, "*.cpio*"))
	if err != nil {
		return err
	}
	slices.Sort(segments)
	words := "rdinit=/bench/init"
	if o.live == "" {
		extra := filepath.Join(dir, "bench.cpio")
		if err := segment(ctx, o, extra, url); err != nil {
			return err
		}
		segments = append(segments, extra)
	} else {
		_, sum, err := digest(o.live)
		if err != nil {
			return err
		}
		words = fmt.Sprintf("root=live:%s/live bareroot.live.sha256=%s bareroot.role=root ip=%s::%s:255.255.255.0:::none", url, sum, guestAddr(addr), addr)
	}
	spec := qemu.Spec{
		Name: "bench", Firmware: qemu.Direct, CPUs: o.cpus, MemoryMiB: o.memory,
		NICs: []qemu.NIC{{Tap: tap}}, Disks: []qemu.Disk{{Size: 4 << 30}},
		Kernel: k.Image, Initrds: segments, Append: "console=ttyS0,115200 panic=-1 loglevel=4 " + words,
	}
	if err := spec.Fill(); err != nil {
		return err
	}
	accel, err := qemu.Accel(ctx, func(context.Context) (string, error) { return k.Image, nil }, dir)
	if err != nil {
		return err
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("guest: %d CPU, %d MiB, %s (%s), virtio disk and NIC, kernel %s; load here before: %s", o.cpus, o.memory, accel.Accel, accel.Why, k.Version, load)
	m, err := qemu.New(spec, filepath.Join(dir, "vm"), accel.Accel, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.On(ctx); err != nil {
		return err
	}
	if o.live != "" {
		return watch(ctx, m, o.bound, `(?m)(lease .*|address .*|live root: .*|switching to .*|shell.*)\r?\n`, "switching")
	}
	return watch(ctx, m, o.bound, `(?m)^BENCH (.*)\r?\n`, "END 0")
}

// watch prints what the guest says that matches, until a line begins with last.
func watch(ctx context.Context, m *qemu.Machine, bound time.Duration, pattern, last string) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	var log console.Stream
	done := make(chan error, 1)
	go func() { done <- console.Follow(ctx, m.ConsoleLog(), &log) }()
	defer func() { cancel(); <-done }()
	lines := regexp.MustCompile(pattern)
	for {
		got, err := log.Expect(ctx, lines, bound)
		if err != nil {
			return fmt.Errorf("%w; the console last said:\n%s", err, log.Tail(20))
		}
		text := strings.TrimRight(got[1], "\r")
		if strings.HasPrefix(text, "END ") && text != last || strings.HasPrefix(text, "shell") {
			return fmt.Errorf("the guest failed:\n%s", log.Tail(20))
		}
		if text != "END 0" {
			fmt.Println(text)
		}
		if strings.HasPrefix(text, last) {
			return nil
		}
	}
}

// serve hands out the image, and takes profiles.
func serve(addr string, o options) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /image", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, o.image) })
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, o.live) })
	mux.HandleFunc("PUT /profile/{name}", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
		if err == nil {
			err = os.WriteFile(filepath.Join(o.profile, filepath.Base(r.PathValue("name"))), b, 0o644)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	s := &http.Server{Handler: mux}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	return "http://" + l.Addr().String(), func() { s.Close(); <-done }, nil
}

const script = `#!/bench/busybox sh
b=/bench/busybox
export PATH=/bench:/usr/sbin:/usr/bin:/sbin:/bin
$b mkdir -p /proc /sys /dev /tmp /mem; $b mount -t tmpfs mem /mem
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
exec >/dev/console 2>&1 </dev/null
/bench/modprobe virtio_pci virtio_blk virtio_net || echo "BENCH modprobe failed"
n=0; while [ ! -b /dev/vda ] || [ ! -e /sys/class/net/eth0 ]; do n=$((n+1)); [ $n -gt 300 ] && break; $b usleep 100000; done
$b ifconfig lo 127.0.0.1 up; $b ifconfig eth0 ADDRESS netmask 255.255.255.0 up
$b grep -m1 -E "^flags" /proc/cpuinfo | $b tr ' ' '\n' | $b grep -E "^(sha_ni|avx2|bmi2|ssse3)$" | $b tr '\n' ' ' | $b sed 's/^/BENCH CPU has: /'; echo
{ /bench/deploy ARGS; code=$?; echo "END $code"; } 2>&1 | while read -r l; do echo "BENCH $l"; done
$b sync; $b poweroff -f
`

// segment is what is added to the boot set: the script as init, the
// benchmark, and the peer's programs with their libraries.
func segment(ctx context.Context, o options, path, url string) error {
	program := path + ".deploy"
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "bareroot/bench/deploy")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build bench/deploy: %w: %s", err, bytes.TrimSpace(out))
	}
	size, sum, err := digest(o.image)
	if err != nil {
		return err
	}
	target := "-disk /dev/vda"
	if o.tmpfs {
		target = "-memory /mem/file"
	}
	args := fmt.Sprintf("-url %s/image -size %d -sha256 %s %s -runs %d", url, size, sum, target, o.runs)
	if o.raw || o.tmpfs {
		args += " -raw"
	}
	if o.profile != "" {
		args += " -profile " + url + "/profile/"
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	files := map[string]string{"bench/deploy": program, "bench/busybox": o.busybox, "bench/modprobe": filepath.Join(o.bin, "bareroot-init")}
	text := map[string]string{"bench/init": strings.NewReplacer("ADDRESS", guestAddr(host), "ARGS", args).Replace(script)}
	var programs []string
	for _, p := range []string{"curl", "zstd", "dd", "sha256sum"} {
		f, err := exec.LookPath(p)
		if err != nil { // bench/deploy says "not measured"
			continue
		}
		programs = append(programs, f)
	}
	peer, loader, err := peerFiles(programs)
	if err != nil {
		return err
	}
	for name, p := range peer {
		files["peer/"+name] = p
	}
	for _, p := range programs {
		name := filepath.Base(p)
		text["bench/"+name] = fmt.Sprintf("#!/bench/busybox sh\nexec /peer/lib/%s --library-path /peer/lib /peer/bin/%s \"$@\"\n", loader, name)
	}
	text["bench/sh"] = "#!/bench/busybox sh\nexec /bench/busybox sh \"$@\"\n"
	return pack(path, files, text)
}

// guestAddr is another address in the /24 of the bridge's.
func guestAddr(bridge string) string { return bridge[:strings.LastIndex(bridge, ".")+1] + "77" }

func pack(path string, files, text map[string]string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := cpio.NewWriter(f)
	for _, d := range []string{"bench", "peer", "peer/bin", "peer/lib"} {
		if err := w.Dir(d, 0o755); err != nil {
			return err
		}
	}
	for name, p := range files {
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if err := w.File(name, 0o755, b); err != nil {
			return err
		}
	}
	for name, s := range text {
		if err := w.File(name, 0o755, []byte(s)); err != nil {
			return err
		}
	}
	return w.Close()
}

func digest(path string) (int64, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return n, hex.EncodeToString(h.Sum(nil)), err
}
