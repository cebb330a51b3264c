package netconf

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"bareroot/internal/lab/netns"
)

// update writes the golden files.
var update = flag.Bool("update", false, "write testdata")

// TestMain lets more tests wait beside each other than there are processors.
func TestMain(m *testing.M) {
	netns.Reexec()
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(max(8, runtime.GOMAXPROCS(0)))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// elsewhere runs the test that calls it in a process and a network of its own, and
// says so; there it says no. What a test brings up is never the host's network nor
// another test's, and tests, which mostly wait, wait beside each other.
func elsewhere(t *testing.T) bool {
	t.Helper()
	if netns.Inside() {
		return false
	}
	t.Parallel()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var name []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		name = append(name, "^"+regexp.QuoteMeta(part)+"$")
	}
	c, err := netns.Start(netns.Options{
		Args: []string{"-test.v", "-test.timeout=5m", "-test.cpu=" + strconv.Itoa(runtime.GOMAXPROCS(0)), "-test.run=" + strings.Join(name, "/")},
		// A process with the race detector otherwise sleeps for a second at its end.
		Env: []string{"GORACE=atexit_sleep_ms=0 " + os.Getenv("GORACE")}, Run: true, Stdout: out, Stderr: out,
	})
	if r := (*netns.Refused)(nil); errors.As(err, &r) {
		t.Skip(r)
	} else if err != nil {
		t.Fatal(err)
	}
	err = c.Wait(t.Context())
	text, rerr := os.ReadFile(out.Name())
	if rerr != nil {
		t.Fatal(rerr)
	}
	switch {
	case err == nil && bytes.Contains(text, []byte("--- PASS: "+t.Name()+" (")):
		t.Logf("%s", text)
	case err == nil && bytes.Contains(text, []byte("--- SKIP: "+t.Name()+" (")):
		t.Skipf("%s", text)
	default:
		t.Errorf("%v\n%s", err, text)
	}
	return true
}
