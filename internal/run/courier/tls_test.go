package courier

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"testing"
	"time"
)

func TestVerifyPinned(t *testing.T) {
	now := time.Now()
	make1 := func(name string, ca bool, parent *x509.Certificate, pk *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
			IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
		if !ca {
			tpl.DNSNames = []string{name}
		}
		if parent == nil {
			parent, pk = tpl, k
		}
		der, err := x509.CreateCertificate(rand.Reader, tpl, parent, &k.PublicKey, pk)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := x509.ParseCertificate(der)
		return c, k
	}
	ca, cak := make1("ca", true, nil, nil)
	leaf, _ := make1("server", false, ca, cak)
	evil, _ := make1("server", false, nil, nil)
	sum := sha256.Sum256(ca.Raw)
	fp := hex.EncodeToString(sum[:])
	for name, c := range map[string]struct {
		chain []*x509.Certificate
		host  string
		now   time.Time
		ok    bool
	}{
		"pinned":                         {[]*x509.Certificate{leaf, ca}, "server", now, true},
		"time not known yet":             {[]*x509.Certificate{leaf, ca}, "server", time.Time{}, true},
		"expired":                        {[]*x509.Certificate{leaf, ca}, "server", now.Add(2 * time.Hour), false},
		"other host":                     {[]*x509.Certificate{leaf, ca}, "other", now, false},
		"the CA is only shown, not used": {[]*x509.Certificate{evil, ca}, "server", now, false},
		"without the CA":                 {[]*x509.Certificate{leaf}, "server", now, false},
		"nothing":                        {nil, "server", now, false},
	} {
		if err := VerifyPinned(c.chain, fp, c.host, c.now); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
