package attack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/bootset"
)

const (
	serverAddr = "10.77.0.1"
	door       = serverAddr + ":8080" // provisioning, HTTP
	adminDoor  = "127.0.0.1:8081"
	canary     = "CANARY-nobody-may-read-this"

	// maxRSS is what the server may hold after all attacks, and maxGrowth
	// what one of them may add.
	maxRSS    = 256 << 20
	maxGrowth = 96 << 20
)

// site is the server under attack, with a boot set, an image, and files
// around them that nobody may get.
type site struct {
	dir    string
	token  string            // of the operator
	files  map[string][]byte // of the boot set and the boot programs, by name
	set    string            // id of the boot set
	image  string            // sha256
	bytes  []byte            // of the image
	client *client.Client    // operator's, by the unix socket
	guest  *guest
	cmd    *exec.Cmd
	ended  chan struct{}
}

var theSite = sync.OnceValues(newSite)

// start returns the site and judges the server when the test has ended.
func start(t *testing.T) *site {
	t.Helper()
	if why := os.Getenv(envNoVM); why != "" {
		t.Skipf("%s: %s", envNoVM, why)
	}
	s, err := theSite()
	if err != nil {
		t.Fatal(err)
	}
	before := s.rss(t)
	t.Cleanup(func() { s.unharmed(t, before) })
	return s
}

func newSite() (_ *site, err error) {
	dir, err := os.MkdirTemp("", "bareroot-attack")
	if err != nil {
		return nil, err
	}
	s := &site{dir: dir, files: map[string][]byte{}}
	if s.guest, err = theGuest(); err != nil {
		return nil, err
	}
	if err := s.write(); err != nil {
		return nil, err
	}
	if err := s.serve(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	set, err := s.client.AddBootSet(ctx, api.BootSetRequest{Name: "generic", Path: filepath.Join(dir, "set")})
	if err != nil {
		return nil, err
	}
	s.set = set.ID
	image, err := s.client.AddImage(ctx, api.ImageRequest{Name: "disk", Path: filepath.Join(dir, "image")})
	if err != nil {
		return nil, err
	}
	s.image = image.SHA256
	token, err := os.ReadFile(filepath.Join(dir, "state", "admin.token"))
	s.token = strings.TrimSpace(string(token))
	return s, err
}

// write makes the files: those that are served, and canaries beside them.
func (s *site) write() error {
	random := rand.NewChaCha8([32]byte{7})
	fill := func(n int) []byte {
		b := make([]byte, n)
		_, _ = random.Read(b) // never fails
		return b
	}
	s.bytes = fill(300_000)
	put := func(name string, data []byte) error {
		p := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		return os.WriteFile(p, data, 0o644)
	}
	m := bootset.Manifest{Version: bootset.Version, Arch: "amd64", Kver: "6.1.0-attack", Cmdline: "console=ttyS0", Roles: []string{"discover"}}
	blob := func(name string, data []byte) bootset.Blob {
		s.files[name] = data
		sum := sha256.Sum256(data)
		return bootset.Blob{File: name, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
	}
	m.Kernel = blob("vmlinuz", fill(70_000))
	m.Segments = []bootset.Segment{{Kind: "userland", Blob: blob("10-userland.cpio", fill(50_000))}}
	m.ID = m.Sum()
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	s.files["undionly.kpxe"], s.files["snponly.efi"] = fill(60_000), fill(30_000)
	config, err := json.Marshal(map[string]any{
		"state_dir":     filepath.Join(s.dir, "state"),
		"boot_programs": filepath.Join(s.dir, "programs"),
		"log_level":     "info",
		"interfaces":    []any{map[string]any{"name": "br0", "dhcp": "authoritative", "range": "10.77.0.100-10.77.0.139", "router_advertisement": true}},
		"admin":         map[string]any{"listen": adminDoor},
	})
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"image": s.bytes, "bareroot.yaml": config,
		"set/manifest.json": manifest, "set/vmlinuz": s.files["vmlinuz"], "set/10-userland.cpio": s.files["10-userland.cpio"], "set/notes.txt": []byte(canary),
		"programs/undionly.kpxe": s.files["undionly.kpxe"], "programs/snponly.efi": s.files["snponly.efi"], "programs/secret.txt": []byte(canary),
		"secret.txt": []byte(canary), "state/secret.txt": []byte(canary),
	} {
		if err := put(name, data); err != nil {
			return err
		}
	}
	return nil
}

func program() (string, error) {
	if dir := os.Getenv("BAREROOT_BIN"); dir != "" {
		return filepath.Join(dir, "bareroot"), nil
	}
	p, err := filepath.Abs("../../bin/bareroot")
	if err == nil {
		_, err = os.Stat(p)
	}
	if err != nil {
		return "", fmt.Errorf("the tests run the programs of bin/, or of BAREROOT_BIN: %w; make build", err)
	}
	return p, nil
}

func (s *site) serve() error {
	bin, err := program()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "server.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(bin, "serve", "--config", filepath.Join(s.dir, "bareroot.yaml"))
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func() { defer close(s.ended); _ = s.cmd.Wait() }() // how it ended is in its log
	if s.client, err = client.New(client.Options{Server: "unix://" + filepath.Join(s.dir, "state", "admin.sock")}); err != nil {
		return err
	}
	return s.until(time.Minute, "the server to answer", func() error {
		st, err := s.client.Status(context.Background())
		if err == nil && st.Listeners["dhcp"] == "" {
			return errors.New("no DHCP yet")
		}
		return err
	})
}

// stopSite ends the server as an operator does.
func stopSite() error {
	if os.Getenv(envNoVM) != "" {
		return nil
	}
	s, err := theSite()
	if err != nil {
		return nil // the tests said so
	}
	defer os.RemoveAll(s.dir)
	if err := s.cmd.Process.Signal(unix.SIGTERM); err != nil {
		return nil // it has ended; the tests said so
	}
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		_ = s.cmd.Process.Kill()
		return errors.New("the server did not stop within a minute")
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the server ended with exit code %d; its log ends:\n%s", code, s.logTail())
	}
	return nil
}

// until polls ok.
func (s *site) until(bound time.Duration, what string, ok func() error) error {
	end := time.NewTimer(bound)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return fmt.Errorf("waited for %s: the server has ended; its log ends:\n%s", what, s.logTail())
		case <-end.C:
			return fmt.Errorf("waited %v for %s: %w", bound, what, err)
		}
	}
}

func (s *site) logTail() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "server.log"))
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
}

// errors is how many errors of a door were counted.
func (s *site) errors(t *testing.T, door string) int64 {
	t.Helper()
	st, err := s.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.Errors[door]
}

// counts waits until the door has counted n errors more than before.
func (s *site) counts(t *testing.T, door string, before, n int64) {
	t.Helper()
	err := s.until(time.Minute, fmt.Sprintf("%d counted errors at the door %s", n, door), func() error {
		if got := s.errors(t, door) - before; got < n {
			return fmt.Errorf("%d were counted", got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("door %s counted %d errors", door, s.errors(t, door)-before)
}

// rss is the server's memory in bytes.
func (s *site) rss(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatalf("the server has ended; its log ends:\n%s", s.logTail())
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	f := strings.Fields(rest)
	if len(f) == 0 {
		t.Fatalf("the server has ended; its log ends:\n%s", s.logTail())
	}
	n, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// unharmed: the server answers, is not much larger than before, and did not
// panic anywhere.
func (s *site) unharmed(t *testing.T, before int64) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	st, err := s.client.Status(ctx)
	if err != nil {
		t.Fatalf("after the attack: %v; the server's log ends:\n%s", err, s.logTail())
	}
	after := s.rss(t)
	t.Logf("server unharmed: %d MiB before, %d MiB after, errors %v", before>>20, after>>20, st.Errors)
	if after > maxRSS || after-before > maxGrowth {
		t.Errorf("the server's memory grew from %d to %d MiB", before>>20, after>>20)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"panic", "goroutine ", "\"level\":\"ERROR\""} {
		if i := bytes.Index(b, []byte(bad)); i >= 0 {
			t.Errorf("the server's log has %q:\n%s", bad, b[max(0, i-200):min(len(b), i+2000)])
		}
	}
	if size := len(b); size > 16<<20 {
		t.Errorf("the server's log has grown to %d MiB", size>>20)
	}
}

// leaks says what in a reply should not be there, or "".
func (s *site) leaks(b []byte) string {
	for what, secret := range map[string]string{
		"a canary file": canary, "the operator's token": s.token, "the database": "SQLite format", "/etc/passwd": "root:x:",
		"a path of the server": s.dir, "the configuration": "router_advertisement",
	} {
		if secret != "" && bytes.Contains(b, []byte(secret)) {
			return what
		}
	}
	return ""
}

// ok200 says whether a body is one that the door may give to anybody.
func (s *site) ok200(b []byte) bool {
	if bytes.HasPrefix(b, []byte("#!ipxe\n")) {
		return true
	}
	for _, f := range s.files {
		if bytes.Equal(b, f) {
			return true
		}
	}
	return false
}

// get reads a URL of the provisioning door from the guest.
func (s *site) get(t *testing.T, path string, header ...string) (int, []byte) {
	t.Helper()
	return s.request(t, http.MethodGet, path, nil, header...)
}
