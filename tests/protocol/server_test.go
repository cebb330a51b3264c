package protocol

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/api"
	"bareroot/client"
	"bareroot/internal/bootset"
	"bareroot/internal/rdconf"
	"bareroot/internal/rdconf/rdconftest"
	"bareroot/internal/run/agent"
	"bareroot/internal/run/dialect/native"
	"bareroot/internal/run/role"
	"bareroot/internal/serve/agentapi"
	"bareroot/internal/serve/inventory"
	"bareroot/internal/serve/order"
	"bareroot/internal/stream"
)

const (
	base = "http://10.0.0.1:8080"
	mac  = "52:54:00:00:00:01"
	uuid = "9f1b3c2e-0a4d-4b8e-9c55-0123456789ab"
)

// imageBytes is the system image of all transcripts.
var imageBytes = bytes.Repeat([]byte("0123456789abcdef"), 64)

// server is today's, with a machine that has netbooted.
type server struct {
	inv   *inventory.Service
	http  http.Handler
	nonce string
}

func newServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(name string, data []byte) bootset.Blob {
		must(os.WriteFile(filepath.Join(dir, name), data, 0o644))
		sum := sha256.Sum256(data)
		return bootset.Blob{File: name, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
	}
	m := bootset.Manifest{Version: bootset.Version, Arch: "amd64", Kver: "6.1.0", Kernel: put("vmlinuz", []byte("kernel")), Roles: []string{"discover"}}
	m.ID = m.Sum()
	doc, err := json.Marshal(m)
	must(err)
	put("manifest.json", doc)
	put("image", imageBytes)
	inv, err := inventory.New(inventory.Config{StateDir: filepath.Join(dir, "state"), BaseURL: base})
	must(err)
	t.Cleanup(func() { must(inv.Close()) })
	_, err = inv.AddBootSet(t.Context(), api.BootSetRequest{Name: "b", Path: dir})
	must(err)
	_, err = inv.AddImage(t.Context(), api.ImageRequest{Name: "disk", Path: filepath.Join(dir, "image")})
	must(err)
	d, err := inv.NetBoot(t.Context(), order.BootRequest{UUID: uuid, MAC: mac, Platform: "bios", Arch: "amd64"})
	must(err)
	segment, err := inv.Segment(t.Context(), d.Attempt)
	must(err)
	_, err = inv.Approve(t.Context(), uuid, api.ApproveRequest{Name: "node1"})
	must(err)
	return &server{inv: inv, http: agentapi.Handler(inv, nil), nonce: rdconftest.InSegment(t, segment).Server.Nonce}
}

// operator places the order that a transcript names.
func (s *server) operator(t *testing.T, what string) {
	t.Helper()
	req := api.OrderRequest{Kind: what}
	if what == api.KindDeploy {
		req = api.OrderRequest{Kind: what, Image: "disk", Erase: true, After: "wait", Target: api.DiskHint{Serial: "D1"}}
	}
	if _, err := s.inv.PlaceOrder(t.Context(), uuid, req); err != nil {
		t.Fatal(err)
	}
}

// to sends everything to one test server, whatever address is asked for.
func to(t *testing.T, h http.Handler) *http.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	tr := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func hello(nonce string) api.HelloRequest {
	return api.HelloRequest{Protocol: api.AgentProtocol, Nonce: nonce, BootID: "4c1d2f7e-0000-4000-8000-00000000b001", Program: "bareroot-init", Version: "recorded",
		UUID: uuid, MACs: []string{mac, "52:54:00:00:00:02"}, Kinds: []string{api.KindDiscover, api.KindDeploy, api.KindRoot, api.KindReboot, api.KindPowerOff}}
}

func facts(context.Context) (api.Facts, error) {
	return api.Facts{Version: 1, Firmware: "bios", Kernel: "6.1.0-44-amd64",
		System: api.System{UUID: uuid, Manufacturer: "QEMU", Product: "Standard PC (Q35 + ICH9, 2009)"},
		CPU:    api.CPU{Model: "QEMU Virtual CPU", Arch: "amd64", Sockets: 1, Cores: 2, Threads: 2},
		Memory: api.Memory{Installed: 1 << 30, Usable: 1000 << 20},
		Disks:  []api.Disk{{ID: "serial-D1", Path: "/dev/vda", Links: []string{"/dev/disk/by-id/virtio-D1"}, Size: 4 << 30, SectorSize: 512, Serial: "D1", Transport: "virtio", Content: []string{"gpt partition table"}}},
		NICs:   []api.NIC{{Name: "eth0", MAC: mac, Driver: "virtio_net", Carrier: true, Booted: true, IPs: []string{"10.0.0.17/24"}}, {Name: "eth1", MAC: "52:54:00:00:00:02"}},
		PCI:    []string{"0000:00:03.0 1af4:1000 class 020000 driver virtio-pci"}}, nil
}

// deploy downloads as the real role does, and says what it says; the disk
// writer has tests of its own.
type deploy struct{ fetch *stream.Fetcher }

func (d deploy) Run(ctx context.Context, o api.Order, rep role.Reporter) error {
	src := o.Deploy.Image
	rep.Note("the image is " + src.SHA256)
	rep.Plan(&api.Plan{Version: 1, Order: o.ID, Hash: strings.Repeat("0", 64),
		Disks: []api.PlanDisk{{ID: "serial-D1", Path: "/dev/vda", Size: 4 << 30, Found: []string{"gpt partition table"}, Action: "overwritten", Why: "serial D1 was asked for"}},
		Steps: []api.PlanStep{{Op: "write-image", Disk: "serial-D1", Detail: "from " + src.URL, Bytes: src.RawSize}}})
	r, err := d.fetch.Open(ctx, src)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, r)
	if e := r.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	rep.Progress("write", n, src.Size, 1<<20)
	rep.Result(api.Result{BytesRead: n, BytesWritten: n, ImageBytes: n, Disk: "serial-D1", Seconds: map[string]float64{"write": 0.5}})
	rep.Note("written and verified")
	return nil
}

// run runs today's agent loop with a session until it ends.
func run(t *testing.T, hc *http.Client, token string) (rdconf.Outcome, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	log := filepath.Join(t.TempDir(), "boot.log")
	if err := os.WriteFile(log, []byte("init: hello\nagent: here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var console bytes.Buffer
	a := &agent.Agent{
		Dialect: native.New(&client.Agent{Base: base, Token: token, HTTP: hc}),
		Roles: map[string]agent.Role{
			api.KindDiscover: &role.Discover{Gather: facts},
			api.KindDeploy:   deploy{&stream.Fetcher{Client: hc, Token: token, Origin: base}},
		},
		Gather: facts, BootID: hello("").BootID, SeqBase: 1000, Console: &lockedWriter{w: &console}, LogPath: log,
	}
	o := a.Run(ctx)
	return o, console.String()
}
