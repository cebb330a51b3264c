package netboot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/iana"
	"github.com/pin/tftp/v3"
)

// tftpTransfers bounds how many transfers run at once: the door of a server
// that anybody on the network can knock at.
const tftpTransfers = 256

// BootProgram is a file that firmware starts.
type BootProgram struct {
	Arch iana.Arch
	Name string // as asked for by TFTP
	File string // below the directory of boot programs
}

// BootPrograms are the programs known, best first: the first of an
// architecture that exists is used. snponly uses the firmware's own network
// driver, undionly the PXE ROM's.
var BootPrograms = []BootProgram{
	{iana.INTEL_X86PC, "undionly.kpxe", "undionly.kpxe"},
	{iana.EFI_X86_64, "snponly.efi", "snponly.efi"},
	{iana.EFI_BC, "snponly.efi", "snponly.efi"},
	{iana.EFI_ARM64, "snponly-arm64.efi", "arm64-efi/snponly.efi"},
	{iana.EFI_ARM64, "snponly-arm64.efi", "snponly-arm64.efi"},
}

// Programs is what TFTP serves: file names to paths, and which name an
// architecture gets.
type Programs struct {
	Files map[string]string
	Names map[iana.Arch]string
}

// FindPrograms looks the boot programs up in dir.
func FindPrograms(dir string) (Programs, error) {
	out := Programs{Files: map[string]string{}, Names: map[iana.Arch]string{}}
	for _, p := range BootPrograms {
		path := filepath.Join(dir, p.File)
		if fi, err := os.Stat(path); err != nil || !fi.Mode().IsRegular() {
			continue
		}
		if _, ok := out.Names[p.Arch]; !ok {
			out.Names[p.Arch], out.Files[p.Name] = p.Name, path
		}
	}
	if len(out.Names) == 0 {
		return out, fmt.Errorf("no boot programs (undionly.kpxe, snponly.efi) in %s; install the package ipxe or set boot_programs", dir)
	}
	return out, nil
}

// TFTP serves the boot programs and nothing else.
type TFTP struct {
	Interface string // bound to, if not empty
	Addr      netip.AddrPort
	Files     map[string]string // name -> path
	Log       *slog.Logger
	Errors    *Tally

	conn  net.PacketConn
	slots chan struct{}
	cut   atomic.Bool // transfers end now
}

// Listen opens the socket.
func (t *TFTP) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	c, err := lc.ListenPacket(ctx, "udp4", t.Addr.String())
	if err != nil {
		hint := ""
		if errors.Is(err, syscall.EADDRINUSE) {
			hint = "; another TFTP server runs on this machine: stop it, or set tftp: false for this interface"
		}
		return fmt.Errorf("listen for TFTP on %s: %w%s", t.Addr, err, hint)
	}
	t.conn = c
	return nil
}

// Serve answers until ctx ends; transfers that run then get grace to end.
// Each has a port of its own, as RFC 1350 says. The library's other mode, all
// on port 69, must not be used: there a packet longer than its buffer, or one
// that comes just as a transfer ends, ends the whole program.
func (t *TFTP) Serve(ctx context.Context, grace time.Duration) error {
	t.slots = make(chan struct{}, tftpTransfers)
	s := tftp.NewServer(t.read, nil)
	s.SetBlockSize(1428) // no fragments, also through a tunnel
	s.SetRetries(5)
	s.SetTimeout(2 * time.Second)
	s.SetHook(tftpHook{t})
	done := make(chan error, 1)
	go func() { done <- s.Serve(t.conn) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve TFTP on %s: %w", t.Addr, errors.Join(err, net.ErrClosed))
	case <-ctx.Done():
	}
	ended := make(chan struct{})
	go func() { defer close(ended); s.Shutdown(); <-done }() // waits for the transfers
	rest := time.NewTimer(grace)
	defer rest.Stop()
	select {
	case <-ended:
	case <-rest.C:
		// The library cannot be told to break off. A transfer whose client
		// reads ends with its next block, one whose client is gone when its
		// retries are used up, seconds from now; nothing waits for that.
		t.cut.Store(true)
	}
	return nil
}

var errNoSuchProgram = errors.New("no such boot program")

// lookup maps the name of a request to a path. Only whole names of Files are
// known, with one leading slash or "./" as some firmware writes it: a path is
// never made from what a client sends.
func (t *TFTP) lookup(name string) (string, error) {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "./"), "/")
	path, ok := t.Files[name]
	if !ok {
		return "", errNoSuchProgram
	}
	return path, nil
}

func (t *TFTP) read(name string, rf io.ReaderFrom) (err error) {
	defer func() {
		// Whatever a packet does to the library is that transfer's affair.
		if p := recover(); p != nil {
			t.Log.Error("TFTP transfer broke", "file", name, "panic", p, "stack", string(debug.Stack()))
			err = errors.New("the server cannot do that")
		}
	}()
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	default:
		return errors.New("too many transfers, try again")
	}
	path, err := t.lookup(name)
	if err != nil {
		return err // reaches the hook, too
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errNoSuchProgram
	}
	if err != nil {
		t.Log.Error("TFTP cannot read its file", "file", path, "err", err)
		return errors.New("the server cannot read this file")
	}
	defer f.Close()
	_, err = rf.ReadFrom(&program{f, &t.cut}) // failures reach the hook
	return err
}

// program is a file that ends when the server does. It can seek: that is how
// the library finds its size.
type program struct {
	*os.File
	cut *atomic.Bool
}

func (p *program) Read(b []byte) (int, error) {
	if p.cut.Load() {
		return 0, net.ErrClosed
	}
	return p.File.Read(b)
}

// tftpHook counts failures. UEFI firmware asks for the size, then breaks off
// with code 8 and asks again: that is no failure.
type tftpHook struct{ t *TFTP }

func (h tftpHook) OnSuccess(s tftp.TransferStats) {
	h.t.Log.Info("TFTP sent", "file", s.Filename, "to", s.RemoteAddr.String(), "took", s.Duration.Round(time.Millisecond))
}

func (h tftpHook) OnFailure(s tftp.TransferStats, err error) {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) && s.RemoteAddr == nil {
		return // our own shutdown
	}
	if strings.Contains(err.Error(), "code=8,") {
		h.t.Log.Debug("TFTP client has the size and asks again", "file", s.Filename, "from", s.RemoteAddr.String())
		return
	}
	h.t.Errors.Add(DoorTFTP)
	h.t.Log.Warn("TFTP failed", "file", s.Filename, "from", s.RemoteAddr.String(), "err", err)
}
