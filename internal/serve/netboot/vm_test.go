package netboot

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/internal/bootset"
	"bareroot/internal/cpio"
	"bareroot/internal/serve/order"
)

// TestFirmware boots real firmware in QEMU from the real servers of this
// package until the kernel's init has seen every segment. It runs itself
// again in fresh namespaces, where it may have a bridge.
func TestFirmware(t *testing.T) {
	kernel := os.Getenv("BAREROOT_TEST_KERNEL")
	if kernel == "" {
		t.Skip("not run: BAREROOT_TEST_KERNEL names no kernel (a distribution's vmlinuz)")
	}
	for _, tool := range []string{"qemu-system-x86_64", "ip", "busybox"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("not run: %v", err)
		}
	}
	if os.Getenv("BAREROOT_TEST_INSIDE") == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "10m")
		if f := os.Getenv("BAREROOT_TEST_CASE"); f != "" {
			cmd.Args[2] += "/^" + f + "$"
		}
		cmd.Env = append(os.Environ(), "BAREROOT_TEST_INSIDE=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Fatalf("in the namespaces: %v", err)
		}
		return
	}
	must(t, "mount", "--make-rprivate", "/")
	must(t, "mount", "-t", "proc", "proc", "/proc")
	must(t, "ip", "link", "set", "lo", "up")
	must(t, "ip", "link", "add", "br0", "type", "bridge")
	must(t, "ip", "addr", "add", "10.77.0.1/24", "dev", "br0")
	must(t, "ip", "link", "set", "br0", "up")
	must(t, "ip", "tuntap", "add", "dev", "tap0", "mode", "tap")
	must(t, "ip", "link", "set", "tap0", "master", "br0", "up")

	cases := map[string]struct {
		qemu     []string
		action   string
		proxy    bool // dnsmasq gives the addresses
		ra       bool
		platform string
		needs    string // a file
		failures int    // downloads that fail first
	}{
		"bios-ipxe":        {qemu: []string{"-device", "virtio-net-pci,netdev=n,mac=52:54:00:77:00:01,bootindex=1"}, ra: true, platform: "bios"},
		"bios-ipxe-no-ra":  {qemu: []string{"-device", "virtio-net-pci,netdev=n,mac=52:54:00:77:00:01,bootindex=1"}, platform: "bios"},
		"bios-second-nic":  {qemu: []string{"-nic", "hubport,hubid=9,model=virtio", "-device", "virtio-net-pci,netdev=n,mac=52:54:00:77:00:01,bootindex=1"}, ra: true, platform: "bios"},
		"bios-proxy":       {qemu: []string{"-device", "virtio-net-pci,netdev=n,mac=52:54:00:77:00:01,bootindex=1"}, ra: true, proxy: true, platform: "bios"},
		"bios-disk":        {qemu: biosDisk(t), ra: true, action: order.ActDisk, platform: "bios"},
		"uefi-disk":        {qemu: append(uefi(t, "-device", "virtio-net-pci,netdev=n,mac=52:54:00:77:00:01,bootindex=1,romfile="), uefiDisk(t)...), ra: true, action: order.ActDisk, platform: "uefi", needs: "/usr/lib/grub/x86_64-efi/serial.mod"},
		"bios-retry":       {qemu: []string{"-device", "virtio-net-pci,netdev=n,mac=52:54:00:77:00:01,bootindex=1"}, ra: true, platform: "bios", failures: 2},
		"uefi-pxe":         {qemu: uefi(t, "-device", "virtio-net-pci,netdev=n,mac=52:54:00:77:00:01,bootindex=1,romfile="), ra: true, platform: "uefi", needs: ovmfCode},
		"uefi-proxy":       {qemu: uefi(t, "-device", "virtio-net-pci,netdev=n,mac=52:54:00:77:00:01,bootindex=1,romfile="), ra: true, proxy: true, platform: "uefi", needs: ovmfCode},
		"uefi-pxe-no-ra":   {qemu: uefi(t, "-device", "virtio-net-pci,netdev=n,mac=52:54:00:77:00:01,bootindex=1,romfile="), platform: "uefi", needs: ovmfCode},
		"uefi-ipxe-driver": {qemu: uefi(t, "-device", "virtio-net-pci,netdev=n,mac=52:54:00:77:00:01,bootindex=1"), ra: true, platform: "uefi", needs: ovmfCode},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.needs != "" {
				if _, err := os.Stat(tc.needs); err != nil {
					t.Skipf("not run: %v", err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			start := time.Now()
			log := slog.New(slog.NewTextHandler(&testLog{t: t, start: start}, &slog.HandlerOptions{Level: slog.LevelDebug}))
			boots := newFakeBoots(t, kernel)
			if tc.action != "" {
				boots.action = tc.action
			}
			boots.failures = tc.failures
			var tally Tally
			stop := startServers(ctx, t, log, boots, &tally, tc.proxy, tc.ra)
			defer stop()
			want := "SEGMENTS-OK"
			if tc.action == order.ActDisk {
				want = "DISK-BOOT-OK"
			}
			console, err := bootUntil(ctx, t, start, want, tc.qemu...)
			if err != nil {
				t.Fatalf("%v; console:\n%s", err, console)
			}
			got := boots.asked()
			if len(got) == 0 {
				t.Fatal("no machine asked for its script")
			}
			got[0].Remote = netip.Addr{}
			wantReq := order.BootRequest{UUID: "f0f1f2f3-1234-5678-9abc-def012345678", MAC: "52:54:00:77:00:01", Platform: tc.platform, Arch: "amd64"}
			if got[0] != wantReq {
				t.Errorf("the machine said %+v, want %+v", got[0], wantReq)
			}
			if n := tally.Counts(); len(n) != 0 && tc.failures == 0 {
				t.Errorf("errors counted during a clean boot: %v", n)
			}
		})
	}
}

const ovmfCode, ovmfVars = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"

func uefi(t *testing.T, more ...string) []string {
	vars := filepath.Join(t.TempDir(), "vars.fd")
	if b, err := os.ReadFile(ovmfVars); err == nil {
		if err := os.WriteFile(vars, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return append([]string{"-M", "q35", "-drive", "if=pflash,format=raw,readonly=on,file=" + ovmfCode,
		"-drive", "if=pflash,format=raw,file=" + vars, "-device", "virtio-rng-pci"}, more...)
}

// biosDisk is a disk behind the network card whose boot sector writes to the
// serial port.
func biosDisk(t *testing.T) []string {
	var s [1 << 20]byte
	msg := "DISK-BOOT-OK\r\n"
	// mov si,msg; mov dx,3f8h; l: lodsb; test al,al; jz h; out dx,al; jmp l; h: hlt; jmp h
	code := []byte{0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0x40, 0x7c, 0xba, 0xf8, 0x03, 0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8, 0xf4, 0xeb, 0xfd}
	copy(s[:], code)
	copy(s[0x40:], msg)
	s[510], s[511] = 0x55, 0xaa
	path := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(path, s[:], 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-device", "virtio-net-pci,netdev=n,mac=52:54:00:77:00:01,bootindex=1",
		"-drive", "if=none,id=d,format=raw,file=" + path, "-device", "virtio-blk-pci,drive=d,bootindex=2"}
}

// uefiDisk is a disk behind the network card with a boot loader that writes to
// the serial port.
func uefiDisk(t *testing.T) []string {
	dir := t.TempDir()
	efi := filepath.Join(dir, "EFI", "BOOT")
	if err := os.MkdirAll(efi, 0o755); err != nil {
		t.Fatal(err)
	}
	cfg := filepath.Join(t.TempDir(), "early.cfg")
	if err := os.WriteFile(cfg, []byte("serial --unit=0\nterminal_output serial\necho DISK-BOOT-OK\nsleep 60\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("grub-mkimage", "-O", "x86_64-efi", "-p", "/", "-c", cfg, "-o", filepath.Join(efi, "BOOTX64.EFI"), "serial", "terminal", "echo", "sleep", "normal").CombinedOutput(); err != nil {
		t.Logf("no UEFI disk: %v: %s", err, out) // the case that needs it checks for grub
	}
	return []string{"-drive", "if=none,id=d,format=raw,file.driver=vvfat,file.rw=on,file.label=" + espLabel + ",file.dir=" + dir, "-device", "virtio-blk-pci,drive=d,bootindex=2"}
}

func must(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
}

// bootUntil runs QEMU until want is on the console.
func bootUntil(ctx context.Context, t *testing.T, start time.Time, want string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append([]string{"-accel", "tcg", "-m", "1024", "-nodefaults", "-display", "none", "-vga", "std",
		"-no-reboot", "-serial", "stdio", "-uuid", "f0f1f2f3-1234-5678-9abc-def012345678",
		"-netdev", "tap,id=n,ifname=tap0,script=no,downscript=no"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", err
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var console bytes.Buffer
	for s := bufio.NewScanner(out); s.Scan(); {
		line := s.Text()
		console.WriteString(line + "\n")
		if strings.Contains(line, "Linux version") || strings.Contains(line, "SEGMENT") || strings.Contains(line, "CMDLINE") || strings.Contains(line, want) {
			t.Logf("%6.2f console: %s", time.Since(start).Seconds(), line)
		}
		if strings.Contains(line, want) {
			return console.String(), nil
		}
	}
	return console.String(), fmt.Errorf("QEMU ended without %q on the console: %w", want, context.Cause(ctx))
}

func startServers(ctx context.Context, t *testing.T, log *slog.Logger, boots Boots, tally *Tally, proxy, ra bool) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	programs, err := FindPrograms("/usr/lib/ipxe")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr("10.77.0.1")
	ptr := Pointers{Addr: addr, Script: "http://10.77.0.1:8080/boot/ipxe", Programs: programs.Names}
	var h DHCPHandler
	ports := []int{67}
	if proxy {
		ports = []int{4011, 67}
		h = &Proxy{ptr}
	} else {
		pool, err := NewPool(PoolConfig{First: netip.MustParseAddr("10.77.0.100"), Last: netip.MustParseAddr("10.77.0.120"), TTL: time.Hour, File: filepath.Join(t.TempDir(), "leases.json")})
		if err != nil {
			t.Fatal(err)
		}
		h = &Authoritative{Pointers: ptr, Prefix: netip.MustParsePrefix("10.77.0.1/24"), Pool: pool}
	}
	var wg sync.WaitGroup
	run := func(name string, f func() error) {
		wg.Go(func() {
			if err := f(); err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	if proxy {
		// The network's own DHCP server is in a namespace of its own: one
		// machine has one port 67.
		startDnsmasq(ctx, t, &wg)
	}
	if found, err := OtherServers(ctx, "br0", nil, ProbeTime); err != nil || (len(found) == 1) != proxy {
		t.Fatalf("other servers: %v, %v", found, err)
	}
	for _, port := range ports {
		d := &DHCP{Interface: "br0", Addr: addr, Port: port, Handler: h, Log: log, Errors: tally}
		if err := d.Listen(ctx); err != nil {
			t.Fatal(err)
		}
		run("dhcp", func() error { return d.Serve(ctx) })
	}
	tf := &TFTP{Addr: netip.AddrPortFrom(addr, 69), Files: programs.Files, Log: log, Errors: tally}
	if err := tf.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	run("tftp", func() error { return tf.Serve(ctx, time.Second) })
	if ra {
		r := &RA{Interface: "br0", Log: log, Errors: tally}
		if err := r.Listen(ctx); err != nil {
			t.Fatal(err)
		}
		run("ra", func() error { return r.Serve(ctx) })
	}
	srv := &http.Server{Addr: "10.77.0.1:8080", Handler: logRequests(log, (&HTTP{Boots: boots, Log: log, Errors: tally}).Handler())}
	run("http", srv.ListenAndServe)
	return func() { cancel(); srv.Close(); wg.Wait() }
}

func startDnsmasq(ctx context.Context, t *testing.T, wg *sync.WaitGroup) {
	bin, err := exec.LookPath("dnsmasq")
	if err != nil {
		t.Skipf("not run: no DHCP server to stand beside: %v", err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, "unshare", "-n", "sh", "-ec", `
		echo $$ > `+dir+`/pid
		while ! ip link show v1 >/dev/null 2>&1; do sleep 0.05; done
		ip addr add 10.77.0.2/24 dev v1; ip link set v1 up; ip link set lo up
		exec `+bin+` -k -q --user=root --log-facility=- --port=0 --no-ping --interface=v1 --pid-file= --dhcp-leasefile=`+dir+`/leases --dhcp-range=10.77.0.50,10.77.0.60,1h`)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wg.Go(func() { _ = cmd.Wait() })
	must(t, "sh", "-ec", `while [ ! -s `+dir+`/pid ]; do sleep 0.05; done
		ip link add v0 type veth peer name v1 netns /proc/`+fmt.Sprint(cmd.Process.Pid)+`/ns/net
		ip link set v0 master br0 up`)
}

func logRequests(log *slog.Logger, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.Info("http", "method", r.Method, "url", r.URL.String(), "agent", r.UserAgent())
		h.ServeHTTP(w, r)
	})
}

type testLog struct {
	t     *testing.T
	start time.Time
}

func (l *testLog) Write(b []byte) (int, error) {
	_, line, _ := strings.Cut(string(b), "level=")
	l.t.Logf("%6.2f %s", time.Since(l.start).Seconds(), strings.TrimSpace(line))
	return len(b), nil
}

// fakeBoots is one boot set whose init says what it found.
type fakeBoots struct {
	dir     string
	set     *bootset.Manifest
	action  string
	machine []byte

	failures int
	mu       sync.Mutex
	reqs     []order.BootRequest
}

func newFakeBoots(t *testing.T, kernel string) *fakeBoots {
	f := &fakeBoots{dir: t.TempDir(), action: order.ActBoot}
	k, err := os.ReadFile(kernel)
	if err != nil {
		t.Fatal(err)
	}
	bb, _ := exec.LookPath("busybox")
	busybox, err := os.ReadFile(bb)
	if err != nil {
		t.Fatal(err)
	}
	init := `#!/bin/busybox sh
/bin/busybox mkdir -p /proc
/bin/busybox mount -t proc proc /proc
echo "CMDLINE $(/bin/busybox cat /proc/cmdline)"
[ -f /from-set ] && [ -f /from-machine ] && echo SEGMENTS-OK || echo SEGMENTS-MISSING
/bin/busybox reboot -f
`
	one := archive(t, func(w *cpio.Writer) error {
		for _, d := range []string{"dev", "bin"} {
			if err := w.Dir(d, 0o755); err != nil {
				return err
			}
		}
		if err := w.File("bin/busybox", 0o755, busybox); err != nil {
			return err
		}
		return w.File("init", 0o755, []byte(init))
	})
	two := archive(t, func(w *cpio.Writer) error { return w.File("from-set", 0o644, []byte("2")) })
	f.machine = archive(t, func(w *cpio.Writer) error { return w.File("from-machine", 0o644, []byte("3")) })
	f.set = &bootset.Manifest{Version: 1, ID: strings.Repeat("ab", 32), Arch: "amd64", Kver: "6.1.0-test", Kernel: bootset.Blob{File: "vmlinuz", Size: int64(len(k))},
		Segments: []bootset.Segment{{Kind: "userland", Blob: bootset.Blob{File: "10-userland.cpio"}}, {Kind: "config", Blob: bootset.Blob{File: "50-config.cpio"}}}}
	for name, b := range map[string][]byte{"vmlinuz": k, "10-userland.cpio": one, "50-config.cpio": two} {
		if err := os.WriteFile(filepath.Join(f.dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func archive(t *testing.T, fill func(*cpio.Writer) error) []byte {
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	if err := fill(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (f *fakeBoots) NetBoot(_ context.Context, r order.BootRequest) (order.Decision, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reqs = append(f.reqs, r)
	return order.Decision{Action: f.action, Message: "hello, machine; this is #1 || a test", Attempt: "attempt-00000001", Set: f.set, Cmdline: "console=ttyS0 bareroot.test=a,b;c rd.shell=0 -- panic=-1"}, nil
}

func (f *fakeBoots) asked() []order.BootRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]order.BootRequest(nil), f.reqs...)
}

func (f *fakeBoots) Segment(_ context.Context, attempt string) ([]byte, error) {
	if attempt != "attempt-00000001" {
		return nil, &api.Problem{Title: "not found", Status: 404}
	}
	return f.machine, nil
}

func (f *fakeBoots) BootFile(_ context.Context, id, file string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failures > 0 && file == "50-config.cpio" {
		f.failures--
		return "", fmt.Errorf("a disk error")
	}
	if id != f.set.ID {
		return "", &api.Problem{Title: "not found", Status: 404}
	}
	for _, s := range f.set.Segments {
		if s.File == file {
			return filepath.Join(f.dir, file), nil
		}
	}
	if file == f.set.Kernel.File {
		return filepath.Join(f.dir, file), nil
	}
	return "", &api.Problem{Title: "not found", Status: 404}
}

var _ io.Writer = (*testLog)(nil)
