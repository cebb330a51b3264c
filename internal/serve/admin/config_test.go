package admin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/internal/serve/web/webtest"
)

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	good := file("good", "abcdefghijklmnopqrstuvwxyz\n", 0o600)
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"open address":       {Config{TokenFile: good, Listen: "0.0.0.0:8081"}, "reachable from other machines"},
		"all addresses":      {Config{TokenFile: good, Listen: ":8081"}, "reachable from other machines"},
		"a name":             {Config{TokenFile: good, Listen: "admin.example:8081"}, "reachable from other machines"},
		"no port":            {Config{TokenFile: good, Listen: "127.0.0.1"}, "listen address"},
		"half of TLS":        {Config{TokenFile: good, TLSCert: "c"}, "one is missing"},
		"no token file":      {Config{}, "no token file"},
		"token for all":      {Config{TokenFile: file("loose", "abcdefghijklmnopqrstuvwxyz", 0o644)}, "chmod 600"},
		"short token":        {Config{TokenFile: file("short", "abc\n", 0o600)}, "no token"},
		"two lines":          {Config{TokenFile: file("two", "abcdefghijklmnop\nabcdefghijklmnop\n", 0o600)}, "no token"},
		"no such directory":  {Config{TokenFile: filepath.Join(dir, "no", "token")}, "make admin token"},
		"public URL of ftp":  {Config{TokenFile: good, PublicURL: "ftp://x"}, "public URL"},
		"public URL a path":  {Config{TokenFile: good, PublicURL: "http://x/y"}, "public URL"},
		"loopback":           {Config{TokenFile: good, Listen: "127.0.0.1:8081"}, ""},
		"IPv6 loopback":      {Config{TokenFile: good, Listen: "[::1]:8081"}, ""},
		"open, but with TLS": {Config{TokenFile: good, Listen: ":8081", TLSCert: "c", TLSKey: "k"}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.cfg.Inventory = webtest.New()
			_, err := New(tc.cfg)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := New(Config{TokenFile: good}); err == nil {
		t.Error("no inventory was accepted")
	}
}

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.token")
	first, err := loadToken(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o", info.Mode().Perm())
	}
	if again, err := loadToken(path); err != nil || again != first {
		t.Errorf("second start: %q, %v", again, err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// newAdmin is a door without listeners.
func newAdmin(t *testing.T, cfg Config) *Admin {
	t.Helper()
	cfg.Inventory, cfg.TokenFile = webtest.New(), filepath.Join(t.TempDir(), "admin.token")
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestServeUnixSocket(t *testing.T) {
	a := newAdmin(t, Config{})
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(ctx, l) }()
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	if resp, body := do(t, c, "GET", "http://server/api/v1/machines", ""); resp.StatusCode != 200 {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
	// An open event stream does not hold up the end.
	resp, err := c.Get("http://server/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stop()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the stream was cut off, it did not end: %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServeRefusesOpenListener(t *testing.T) {
	a := newAdmin(t, Config{})
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("error %v", err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("the listener was left open")
	}
}

func TestServeTLS(t *testing.T) {
	cert, key := selfSigned(t)
	a := newAdmin(t, Config{TLSCert: cert, TLSKey: key})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(ctx, l) }()
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	base := "https://" + l.Addr().String()
	if resp, _ := do(t, c, "GET", base+"/api/v1/machines", ""); resp.StatusCode != 401 {
		t.Errorf("without a token: %d", resp.StatusCode)
	}
	lc, err := a.loginCode()
	if err != nil {
		t.Fatal(err)
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, _ := do(t, c, "GET", base+strings.TrimPrefix(lc.URL, "http://127.0.0.1:8081"), "")
	if len(resp.Cookies()) != 1 || !resp.Cookies()[0].Secure {
		t.Errorf("cookie over TLS: %v", resp.Header)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// selfSigned makes a certificate and its key as PEM files.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, priv.Public(), priv)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		p := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(p, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}
