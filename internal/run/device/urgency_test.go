package device

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bareroot/internal/run/console"
)

func TestUrgency(t *testing.T) {
	for alias, want := range map[string]int{
		"pci:v00008086d00001502sv00001028sd000005D1bc02sc00i00": nics,
		"pci:v000015B3d00001013sv000015B3sd00000015bc02sc07i00": nics,
		"virtio:d00000001v00001AF4":                             nics,
		"pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00": quick,
		"pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02": quick,
		"pci:v00001B36d0000000Dsv00001AF4sd00001100bc0Csc03i30": disks,
		"virtio:d00000002v00001AF4":                             quick,
		"pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01": disks,
		"usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00":     disks,
		"scsi:t-0x00":        disks,
		"mmc:block":          disks,
		"of:NmmcT(null)Cx,y": disks,
		"vmbus:ba6163d9":     disks,
		"pci:v00008086d00002918sv00001AF4sd00001100bc06sc01i00": rest,
		"virtio:d00000004v00001AF4":                             rest,
		"usb:v0627p0001d0000dc00dsc00dp00ic03isc01ip01in00":     rest,
		"acpi:PNP0C0C:":          rest,
		"serio:ty06pr00id00ex00": rest,
		"\n":                     disks,
	} {
		m := newManager(console.NewLog(&strings.Builder{}), nil, t.TempDir(), t.TempDir())
		m.needs.Network = true
		if got := m.urgency(alias); got != want {
			t.Errorf("%s: %d, want %d", alias, got, want)
		}
		if m.needs.Network = false; want == nics && m.urgency(alias) != later {
			t.Errorf("%s is urgent without a network", alias)
		}
	}
}

// TestOrder: what waits is loaded by urgency; nothing of the rest while disks
// are still found; nothing at all once there is enough.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in which barrier does not pass by itself
		m := newManager(console.NewLog(&strings.Builder{}), nil, t.TempDir(), t.TempDir())
		m.queue = [urgencies][]string{rest: {"d"}, disks: {"a", "b"}, later: {"e"}}
		take := func(want string) {
			t.Helper()
			m.mu.Lock()
			defer m.mu.Unlock()
			name, level, ok := m.next()
			if name != want || ok != (want != "") {
				t.Errorf("next is %q, want %q", name, want)
			}
			if ok {
				m.loading[level]++
			}
		}
		take("a")
		take("b")
		take("") // a and b are being loaded
		m.loading = [urgencies]int{}
		take("") // the walk is not through
		m.walked = true
		m.looks["sda"] = &look{}
		take("") // a disk is looked at
		delete(m.looks, "sda")
		m.Enough()
		take("")
		m.Changed() // somebody waits
		m.queue[disks] = []string{"c"}
		take("c")
		take("")
		m.since = time.Now().Add(-barrier)
		take("d") // c takes too long
		m.loading = [urgencies]int{}
		take("e")
		take("")
		m.queue[quick], m.virtio = []string{"virtio_blk"}, true
		take("") // virtio's devices are being found
		m.virtio = false
		take("virtio_blk")
	})
}

// TestSpared: when the device that is waited for is found, nothing is loaded in
// the moment before the boot says that it has enough; when it is another one, all goes on.
func TestSpared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in which barrier does not pass by itself
		m := newManager(console.NewLog(&strings.Builder{}), nil, t.TempDir(), t.TempDir())
		m.queue[disks] = []string{"ahci"}
		next := func() string {
			m.mu.Lock()
			defer m.mu.Unlock()
			name, level, ok := m.next()
			if ok { // only looked at
				m.queue[level] = append([]string{name}, m.queue[level]...)
			}
			return name
		}
		appear := func(b Block) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.note(b.Name, b, true)
			m.notify()
		}
		ask := func(want bool) {
			t.Helper()
			m.Changed()
			if _, _, ok := m.Find("UUID=1-2"); ok != want {
				t.Fatalf("found %v, want %v", ok, want)
			}
		}
		appear(Block{Name: "vda"})
		if got := next(); got != "ahci" {
			t.Errorf("nobody waits for a device: %q", got)
		}
		ask(false)
		if got := next(); got != "ahci" {
			t.Errorf("nothing was found: %q", got)
		}
		appear(Block{Name: "vdb", UUID: "9-9"})
		if got := next(); got != "" {
			t.Errorf("a device that nobody has judged yet: %q", got)
		}
		ask(false)
		if got := next(); got != "ahci" {
			t.Errorf("it was another: %q", got)
		}
		appear(Block{Name: "vdc", UUID: "1-2"})
		ask(true)
		if got := next(); got != "" {
			t.Errorf("it was the one: %q", got)
		}
		m.Changed()
		if got := next(); got != "ahci" {
			t.Errorf("it was not enough: %q", got)
		}
		m.Enough()
		if got := next(); got != "" {
			t.Errorf("it was enough: %q", got)
		}
	})
}

// TestAfterUrgent: the walk begins when what is urgent is through, and rests
// while nobody waits.
func TestAfterUrgent(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		m := newManager(console.NewLog(&strings.Builder{}), nil, dirs[0], dirs[1])
		m.loading[quick] = 1
		begun := make(chan struct{})
		go func() { m.afterUrgent(); close(begun) }()
		time.Sleep(barrier / 10)
		select {
		case <-begun:
			t.Error("it begins while a disk's driver is loaded")
		default:
		}
		m.mu.Lock()
		m.loading[quick] = 0
		m.notify()
		m.mu.Unlock()
		<-begun
		m.Enough()
		on := make(chan bool)
		go func() { on <- m.proceed(t.Context()) }()
		time.Sleep(10 * barrier)
		select {
		case <-on:
			t.Error("it goes on though nobody waits")
		default:
		}
		m.Changed()
		if !<-on {
			t.Error("it ended")
		}
		// Without an end of what is urgent it begins, too.
		m.loading[quick] = 1
		start := time.Now()
		if m.afterUrgent(); time.Since(start) != barrier {
			t.Errorf("it began after %s", time.Since(start))
		}
	})
}
