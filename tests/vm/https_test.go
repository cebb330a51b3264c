package vm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/internal/cpio"
	"bareroot/internal/lab/qemu"
	"bareroot/internal/rdconf"
	"bareroot/internal/rdconf/rdconftest"
	"bareroot/tests/vm/vmtest"
)

// secureHost is the server's name, which only the name server knows.
const secureHost = "boot.example"

// TestHTTPS: the server is behind HTTPS and named by a host name. A ramdisk that
// was given the fingerprint of its authority reports through it; one that was
// given another's says nothing to it, and on the console why.
func TestHTTPS(t *testing.T) {
	vmtest.AllOnly(t)
	t.Parallel()
	s := start(t)
	nameServer(t)
	base, ca := s.secure(t)
	for name, c := range map[string]struct {
		machine, fingerprint string
		ok                   bool
	}{
		"the authority's fingerprint": {"https", ca, true},
		"another's":                   {"https-other", strings.Repeat("0", 64), false},
	} {
		t.Run(name, func(t *testing.T) {
			spec := qemu.Spec{Name: c.machine, NICs: []qemu.NIC{{}}}
			if err := spec.Fill(); err != nil {
				t.Fatal(err)
			}
			direct := vmtest.Direct(t, vmtest.Ramdisk(t, "--role", "discover"), "nameserver="+vmtest.Addr()+" rd.retry=20 rd.shell=0")
			direct.Name, direct.UUID, direct.NICs = spec.Name, spec.UUID, spec.NICs
			direct.Initrds = append(direct.Initrds, s.segment(t, spec, func(to *rdconf.Server) {
				to.URL, to.CAFingerprint = base, c.fingerprint
			}))
			v := vmtest.Boot(t, direct)
			if !c.ok {
				v.Expect(`the server's certificates do not include the one with fingerprint 0{64} that this ramdisk was given`, boundBoot)
				v.Expect(`no session within 20s: `, boundBoot)
				if m, err := s.api().Machine(t.Context(), spec.UUID); err != nil || m.Facts != nil {
					t.Errorf("the server has its facts: %+v, %v", m, err)
				}
				return
			}
			v.Expect(`hello: this is machine .* of https://`+regexp.QuoteMeta(secureHost)+`:`, boundBoot)
			s.wait(t, v, "its facts", boundBoot, func(m *api.Machine) bool { return m.Facts != nil })
		})
	}
}

// segment is the machine's own of a new boot attempt, as the server made it, with
// its server changed.
func (s *site) segment(t *testing.T, spec qemu.Spec, change func(*rdconf.Server)) string {
	t.Helper()
	get := func(u string) []byte {
		t.Helper()
		resp, err := http.Get(u)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v: %s", u, resp.Status, err, b)
		}
		return b
	}
	script := get("http://" + vmtest.Addr() + ":8080/boot/ipxe?platform=pcbios&arch=x86_64&uuid=" + spec.UUID + "&mac=" + spec.NICs[0].MAC)
	at := regexp.MustCompile(`http://\S+/boot/segments/\w+`).Find(script)
	if at == nil {
		t.Fatalf("no segment in the script:\n%s", script)
	}
	conf := rdconftest.InSegment(t, get(string(at)))
	change(conf.Server)
	text, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	for _, d := range []string{"etc", "etc/bareroot"} {
		if err := w.Dir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.File(strings.TrimPrefix(rdconf.Path, "/"), 0o600, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "segment")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// secure puts HTTPS before the site's server: its URL by name, and the
// fingerprint of the authority that signed the certificate.
func (s *site) secure(t *testing.T) (base, fingerprint string) {
	t.Helper()
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	own := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{secureHost}, NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	var keys [2]*ecdsa.PrivateKey
	var certs [2][]byte
	var err error
	for i, c := range []*x509.Certificate{authority, own} {
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
		if certs[i], err = x509.CreateCertificate(rand.Reader, c, authority, &keys[i].PublicKey, keys[0]); err != nil {
			t.Fatal(err)
		}
	}
	l, err := tls.Listen("tcp", net.JoinHostPort(vmtest.Addr(), "0"), &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certs[1], certs[0]}, PrivateKey: keys[1]}}})
	if err != nil {
		t.Fatal(err)
	}
	quiet := log.New(io.Discard, "", 0)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: vmtest.Addr() + ":8080"})
	proxy.ErrorLog = quiet
	srv := &http.Server{Handler: proxy, ErrorLog: quiet}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	sum := sha256.Sum256(certs[0])
	return "https://" + secureHost + ":" + port, hex.EncodeToString(sum[:])
}

// nameServer answers on the bridge for secureHost.
func nameServer(t *testing.T) {
	t.Helper()
	cmd := exec.Command("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--pid-file="+t.TempDir()+"/pid", "--listen-address="+vmtest.Addr(), "--bind-interfaces",
		"--no-resolv", "--no-hosts", "--address=/"+secureHost+"/"+vmtest.Addr())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}
