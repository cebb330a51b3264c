package courier

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"bareroot/internal/rdconf"
)

// Client is an HTTP client for the machine's own server; nil is none. With
// https the certificate chain must contain the certificate with the fingerprint
// of the ramdisk's configuration. now gives the time for validity; the zero time
// leaves validity out, for the one call that learns the time.
func Client(s *rdconf.Server, now func() time.Time) (*http.Client, error) {
	if s == nil {
		return &http.Client{Transport: plainTransport()}, nil
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", s.URL, err)
	}
	t := plainTransport()
	if u.Scheme == "https" {
		fp := strings.ToLower(strings.ReplaceAll(s.CAFingerprint, ":", ""))
		if len(fp) != 64 {
			return nil, fmt.Errorf("server %s: the ramdisk's configuration has no CA fingerprint (ca_fingerprint) to judge it by", s.URL)
		}
		t.TLSClientConfig = &tls.Config{
			MinVersion: tls.VersionTLS12,
			// The pinned certificate decides, in VerifyConnection.
			InsecureSkipVerify: true,
			VerifyConnection: func(cs tls.ConnectionState) error {
				if cs.ServerName != "" && cs.ServerName != u.Hostname() {
					return verifyPublic(cs)
				}
				return VerifyPinned(cs.PeerCertificates, fp, u.Hostname(), now())
			},
		}
	}
	return &http.Client{Transport: t}, nil
}

// verifyPublic judges hosts other than the own server, reached by a redirect
// or a root's URL.
func verifyPublic(cs tls.ConnectionState) error {
	inter := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		inter.AddCert(c)
	}
	_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: cs.ServerName, Intermediates: inter})
	return err
}

// VerifyPinned checks that chain leads to the certificate with fingerprint fp
// (sha256 in hex) and is valid for host.
func VerifyPinned(chain []*x509.Certificate, fp, host string, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("the server showed no certificate")
	}
	roots, inter := x509.NewCertPool(), x509.NewCertPool()
	found := false
	for _, c := range chain {
		sum := sha256.Sum256(c.Raw)
		if hex.EncodeToString(sum[:]) == fp {
			roots.AddCert(c)
			found = true
		} else {
			inter.AddCert(c)
		}
	}
	if !found {
		return fmt.Errorf("the server's certificates do not include the one with fingerprint %s that this ramdisk was given", fp)
	}
	if now.IsZero() {
		now = chain[0].NotBefore.Add(chain[0].NotAfter.Sub(chain[0].NotBefore) / 2)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: inter, CurrentTime: now})
	return err
}

func plainTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 75 * time.Second,
		IdleConnTimeout:       60 * time.Second,
		DisableCompression:    true,
	}
}
