package boot

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
	"github.com/google/go-cmp/cmp"
)

func TestRunner(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		fails map[string]int // how often a stage fails first
		again int            // how often Failed says yes
		want  string
		err   string
	}{
		"all well":             {want: "<a a <b b <c c"},
		"tried again":          {fails: map[string]int{"b": 2}, again: 5, want: "<a a <b b !b b !b b <c c"},
		"given up":             {fails: map[string]int{"b": 9}, again: 1, want: "<a a <b b !b b !b", err: "stage b: boom"},
		"a panic is a failure": {fails: map[string]int{"c": -1}, want: "<a a <b b <c c !c", err: "stage c: internal error: oops"},
	} {
		var got []string
		left := map[string]int{}
		for k, v := range c.fails {
			left[k] = v
		}
		stage := func(n string) Stage {
			return Stage{n, func(context.Context) error {
				got = append(got, n)
				if left[n] < 0 {
					panic("oops")
				}
				if left[n] > 0 {
					left[n]--
					return boom
				}
				return nil
			}}
		}
		r := Runner{Stages: []Stage{stage("a"), stage("b"), stage("c")},
			Before: func(_ context.Context, s string) { got = append(got, "<"+s) },
			Failed: func(_ context.Context, e *StageError) bool {
				got = append(got, "!"+e.Stage)
				c.again--
				return c.again >= 0
			}}
		err := r.Run(t.Context())
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
		if (err == nil) != (c.err == "") || (err != nil && err.Error() != c.err) {
			t.Errorf("%s: %v, want %s", name, err, c.err)
		}
	}
}

func TestStageNames(t *testing.T) {
	var got []string
	for _, s := range (&Boot{}).stages() {
		got = append(got, s.Name)
	}
	if d := cmp.Diff(cmdline.Stages[:], got); d != "" {
		t.Error(d)
	}
}

func TestJudge(t *testing.T) {
	const m = time.Minute
	for _, c := range []struct {
		line            string
		server, console bool
		want            Verdict
	}{
		{"", false, true, Verdict{Shell: true, Delay: m}},
		{"", true, true, Verdict{Key: true, Delay: m, Action: "reboot"}},
		{"", true, false, Verdict{Delay: m, Action: "reboot"}},
		{"", false, false, Verdict{Delay: m, Action: "reboot"}},
		{"rd.shell=0", false, true, Verdict{Delay: m, Action: "reboot"}},
		{"rd.shell=0 rd.emergency=halt", true, true, Verdict{Delay: m, Action: "halt"}},
		{"rd.shell=1", true, true, Verdict{Shell: true, Delay: m}},
		{"rd.shell", true, true, Verdict{Shell: true, Delay: m}},
		{"rd.break=mount", true, true, Verdict{Shell: true, Delay: m}},
		{"rd.emergency=poweroff", false, true, Verdict{Shell: true, Delay: m, Action: "poweroff"}},
		{"rd.emergency=poweroff bareroot.emergency.delay=5", true, true, Verdict{Key: true, Delay: 5 * time.Second, Action: "poweroff"}},
		{"rd.emergency=nonsense", true, true, Verdict{Key: true, Delay: m, Action: "reboot"}},
	} {
		if d := cmp.Diff(c.want, Judge(cmdline.Parse(c.line, "t"), c.server, c.console)); d != "" {
			t.Errorf("%q server %v console %v: %s", c.line, c.server, c.console, d)
		}
	}
}

func TestRestarts(t *testing.T) {
	r := restarts{max: 3, within: time.Minute}
	at := time.Unix(0, 0)
	for i, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Second, true}, {time.Second, false}, {2 * time.Minute, true}, {50 * time.Second, true}, {50 * time.Second, true}, {time.Second, false}} {
		at = at.Add(c.after)
		if got := r.allow(at); got != c.want {
			t.Errorf("crash %d: allowed %v", i, got)
		}
	}
}

func TestProbeAddress(t *testing.T) {
	for in, want := range map[string]string{
		"http://10.0.0.1:8080": "10.0.0.1:8080", "https://h/x": "h:443", "http://h": "h:80", "http://[fd00::1]/x": "[fd00::1]:80", "": "", "::": "",
	} {
		if got := probeAddress(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// The reporter keeps order and numbers, sends again what failed, and keeps
// only the newest progress.
func TestReporter(t *testing.T) {
	var mu sync.Mutex
	var got []string
	fail := 2
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if fail > 0 {
			fail--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var b api.EventBatch
		if json.NewDecoder(r.Body).Decode(&b) == nil {
			for i, e := range b.Events {
				if e.BootID != "boot" || e.Seq != len(got)+1 {
					t.Errorf("event %d: %+v", i, e)
				}
				got = append(got, e.Kind+" "+e.Phase)
			}
		}
		_, _ = w.Write([]byte("{}"))
	}))
	defer srv.Close()
	r := NewReporter(console.NewLog(&strings.Builder{}), "boot")
	defer r.Close()
	o := &api.Order{ID: "o", Attempt: 1}
	r.Event("network", "", false)
	r.Order(o, api.Event{Kind: api.EventProgress, Done: 1})
	r.Order(o, api.Event{Kind: api.EventProgress, Done: 2})
	r.Event("root", "", true)
	r.Connect(t.Context(), &client.Agent{Base: srv.URL, Token: "t"})
	r.Flush(20 * time.Second)
	mu.Lock()
	defer mu.Unlock()
	if d := cmp.Diff([]string{"boot network", "boot root"}, got[:min(2, len(got))]); d != "" {
		t.Error(d)
	}
}

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
