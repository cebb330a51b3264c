package netboot

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"
)

const (
	offerTime   = 30 * time.Second // an offer is kept for its client
	declineTime = 10 * time.Minute // an address somebody else uses rests
)

// Lease is one address in use. Clients are told apart by MAC address alone:
// firmware, iPXE, ramdisk and system send four different client identifiers
// and must all get the same address.
type Lease struct {
	Addr     netip.Addr `json:"addr"`
	MAC      string     `json:"mac,omitempty"`
	Expires  time.Time  `json:"expires"`
	Taken    bool       `json:"taken,omitempty"`    // acknowledged; else only offered
	Declined bool       `json:"declined,omitempty"` // somebody outside the pool uses it
}

// Pool hands out the addresses of one range and keeps the leases in a file,
// so that a server that is killed gives nobody's address away.
type Pool struct {
	first, last netip.Addr
	ttl         time.Duration
	file        string // "" = in memory only
	now         func() time.Time
	reserved    map[netip.Addr]bool

	mu     sync.Mutex
	leases map[netip.Addr]Lease
	byMAC  map[string]netip.Addr
	saved  error // of the last write
}

// PoolConfig describes a pool.
type PoolConfig struct {
	First, Last netip.Addr
	TTL         time.Duration
	File        string       // leases are kept here
	Reserved    []netip.Addr // never given: the server's own, the router's
	Now         func() time.Time
}

type errPoolEmpty struct{ first, last netip.Addr }

func (e errPoolEmpty) Error() string {
	return fmt.Sprintf("no address left in %s-%s; make the range larger or the lease time shorter", e.first, e.last)
}

// NewPool opens the pool and reads its leases back. A lease file that cannot
// be read is an error, not a fresh start: addresses may be in use.
func NewPool(c PoolConfig) (*Pool, error) {
	p := &Pool{first: c.First, last: c.Last, ttl: c.TTL, file: c.File, now: c.Now,
		leases: map[netip.Addr]Lease{}, byMAC: map[string]netip.Addr{}, reserved: map[netip.Addr]bool{}}
	if p.now == nil {
		p.now = time.Now
	}
	for _, a := range c.Reserved {
		p.reserved[a] = true
	}
	if c.File == "" {
		return p, nil
	}
	b, err := os.ReadFile(c.File)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read DHCP leases: %w", err)
	}
	var doc leaseFile
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("read DHCP leases %s: %w; move the file away to start without leases", c.File, err)
	}
	for _, l := range doc.Leases {
		if p.inRange(l.Addr) && l.Expires.After(p.now()) {
			p.set(l)
		}
	}
	return p, nil
}

type leaseFile struct {
	Version int     `json:"version"`
	Leases  []Lease `json:"leases"`
}

// Offer finds an address for mac and keeps it for a moment: the one it has,
// else the one it wants if free, else one that depends on the MAC only, so
// that it stays the same even if the leases were lost.
func (p *Pool) Offer(mac string, want netip.Addr) (netip.Addr, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	addr, ok := p.byMAC[mac]
	if ok && p.leases[addr].Taken {
		return addr, true
	}
	if !ok {
		addr, ok = p.pick(mac, want)
	}
	if !ok {
		return netip.Addr{}, false
	}
	p.set(Lease{Addr: addr, MAC: mac, Expires: p.now().Add(offerTime)})
	return addr, true
}

func (p *Pool) pick(mac string, want netip.Addr) (netip.Addr, bool) {
	if p.free(want) {
		return want, true
	}
	n := int(number(p.last)-number(p.first)) + 1
	h := fnv.New32a()
	h.Write([]byte(mac))
	start := int(h.Sum32()) % n
	for i := range n {
		if a := fromNumber(number(p.first) + uint32((start+i)%n)); p.free(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// Take makes addr the lease of mac. It is refused if addr is somebody else's
// or outside the range.
func (p *Pool) Take(mac string, addr netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.leases[addr]
	if mine := ok && l.MAC == mac && !l.Declined; !mine && !p.free(addr) {
		return false
	}
	if old, ok := p.byMAC[mac]; ok && old != addr {
		delete(p.leases, old)
	}
	p.set(Lease{Addr: addr, MAC: mac, Expires: p.now().Add(p.ttl), Taken: true})
	p.save()
	return true
}

// Forget drops an offer that mac did not take.
func (p *Pool) Forget(mac string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := p.byMAC[mac]; ok && !p.leases[a].Taken {
		delete(p.leases, a)
		delete(p.byMAC, mac)
	}
}

// Release ends the lease of mac.
func (p *Pool) Release(mac string, addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := p.byMAC[mac]; ok && a == addr {
		delete(p.leases, a)
		delete(p.byMAC, mac)
		p.save()
	}
}

// Decline rests an address that mac found in use.
func (p *Pool) Decline(mac string, addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := p.byMAC[mac]; ok && a == addr {
		delete(p.byMAC, mac)
		p.leases[a] = Lease{Addr: a, Expires: p.now().Add(declineTime), Declined: true}
		p.save()
	}
}

// Leases lists what is taken, by address.
func (p *Pool) Leases() []Lease {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list()
}

// Err is why the leases could not be written the last time, if so.
func (p *Pool) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.saved
}

func (p *Pool) set(l Lease) {
	if old, ok := p.leases[l.Addr]; ok && old.MAC != l.MAC {
		delete(p.byMAC, old.MAC)
	}
	p.leases[l.Addr] = l
	if l.MAC != "" {
		p.byMAC[l.MAC] = l.Addr
	}
}

func (p *Pool) inRange(a netip.Addr) bool {
	return a.Is4() && !a.Less(p.first) && !p.last.Less(a)
}

func (p *Pool) free(a netip.Addr) bool {
	if !p.inRange(a) || p.reserved[a] {
		return false
	}
	l, ok := p.leases[a]
	return !ok || !l.Expires.After(p.now())
}

func (p *Pool) list() []Lease {
	var out []Lease
	for _, l := range p.leases {
		if l.Taken || l.Declined {
			out = append(out, l)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Addr.Less(out[j].Addr) })
	return out
}

// save writes the file by rename. A failure is kept for Err: clients are
// served all the same, the address is theirs in memory.
func (p *Pool) save() {
	if p.file == "" {
		return
	}
	p.saved = writeAtomic(p.file, leaseFile{Version: 1, Leases: p.list()})
}

func writeAtomic(path string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func fromNumber(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}
