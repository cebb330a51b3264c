package netboot

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/pin/tftp/v3"
)

func startTFTP(t *testing.T, files map[string]string) (addr string, tally *Tally) {
	t.Helper()
	tally = &Tally{}
	s := &TFTP{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Files: files, Log: slog.New(slog.DiscardHandler), Errors: tally}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.conn.LocalAddr().String(), tally
}

func TestTFTP(t *testing.T) {
	dir := t.TempDir()
	want := bytes.Repeat([]byte("boot program "), 10000)
	if err := os.WriteFile(filepath.Join(dir, "snponly.efi"), want, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, tally := startTFTP(t, map[string]string{"snponly.efi": filepath.Join(dir, "snponly.efi"), "gone": filepath.Join(dir, "gone")})
	c, err := tftp.NewClient(addr)
	if err != nil {
		t.Fatal(err)
	}
	c.RequestTSize(true)
	c.SetTimeout(2 * time.Second)
	for _, name := range []string{"snponly.efi", "/snponly.efi"} {
		var got bytes.Buffer
		rf, err := c.Receive(name, "octet")
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := rf.(tftp.IncomingTransfer).Size(); !ok || n != int64(len(want)) {
			t.Errorf("%s: tsize %d, %v", name, n, ok)
		}
		if _, err := rf.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: %d bytes, %v", name, got.Len(), err)
		}
	}
	if n := tally.Counts(); len(n) != 0 {
		t.Errorf("errors counted: %v", n)
	}
	bad := []string{"secret", "../secret", "//snponly.efi/../secret", "..\\secret", "gone", "snponly.efi/", "SNPONLY.EFI", strings.Repeat("x", 400), dir + "/secret"}
	for _, name := range bad {
		rf, err := c.Receive(name, "octet")
		if err == nil {
			_, err = rf.WriteTo(io.Discard)
		}
		if err == nil {
			t.Errorf("%q was served", name)
		}
	}
	if _, err := c.Send("upload", "octet"); err == nil {
		t.Error("an upload was taken")
	}
	if got := tally.Counts()[DoorTFTP]; got != int64(len(bad)+1) {
		t.Errorf("%d errors counted, want %d", got, len(bad)+1)
	}
}

// The client of TestTFTP speaks well; this one does not. The server must
// answer the next good request.
func TestTFTPGarbage(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, tally := startTFTP(t, map[string]string{"a": file})
	for _, p := range []string{"", "\x00", "\x00\x01", "\x00\x01a", "\x00\x01a\x00octet", "\x00\x09xx", "\x00\x01\x00\x00", "\x00\x01a\x00octet\x00blksize\x00-5\x00", strings.Repeat("\xff", 9000), "\x00\x06tsize\x00"} {
		conn, err := net.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	c, err := tftp.NewClient(addr)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	rf, err := c.Receive("a", "octet")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rf.WriteTo(&got); err != nil || got.String() != "hello" {
		t.Errorf("%q, %v", got.String(), err)
	}
	if tally.Counts()[DoorTFTP] == 0 {
		t.Error("no error was counted")
	}
}

func FuzzTFTPLookup(f *testing.F) {
	for _, s := range []string{"snponly.efi", "/snponly.efi", "../x", "./snponly.efi", ""} {
		f.Add(s)
	}
	s := &TFTP{Files: map[string]string{"snponly.efi": "/boot/snponly.efi"}}
	f.Fuzz(func(t *testing.T, name string) {
		path, err := s.lookup(name)
		if err == nil && path != "/boot/snponly.efi" || err != nil && path != "" {
			t.Fatalf("%q gave %q, %v", name, path, err)
		}
	})
}

func TestFindPrograms(t *testing.T) {
	dir := t.TempDir()
	if _, err := FindPrograms(dir); err == nil {
		t.Error("an empty directory has boot programs")
	}
	for _, n := range []string{"snponly.efi", "undionly.kpxe", "arm64-efi/snponly.efi", "ipxe.iso"} {
		p := filepath.Join(dir, n)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := FindPrograms(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := Programs{
		Files: map[string]string{"snponly.efi": dir + "/snponly.efi", "undionly.kpxe": dir + "/undionly.kpxe", "snponly-arm64.efi": dir + "/arm64-efi/snponly.efi"},
		Names: map[iana.Arch]string{0: "undionly.kpxe", 7: "snponly.efi", 9: "snponly.efi", 11: "snponly-arm64.efi"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
