// Package power_test lets the two ends of Redfish meet that may not import
// each other: the server's driver and the lab's service.
package power_test

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bareroot/internal/lab/redfish"
	"bareroot/internal/serve/power"
	"bareroot/internal/serve/power/powertest"
)

// machine is a lab machine without QEMU.
type machine struct {
	mu     sync.Mutex
	info   redfish.Info
	starts int
}

func (m *machine) Info() redfish.Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.info
}

func (m *machine) Reset(_ context.Context, kind string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch kind {
	case "On", "ForceRestart", "PowerCycle":
		m.info.On = true
		m.starts++
		if m.info.Enabled == "Once" {
			m.info.Enabled, m.info.Target = "Disabled", "None"
		}
	default:
		m.info.On = false
	}
	return nil
}

func (m *machine) SetBoot(_ context.Context, enabled, target string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.info.Enabled, m.info.Target = enabled, target
	return nil
}

func TestDriverAgainstLab(t *testing.T) {
	powertest.Run(t, func(t *testing.T) powertest.Service {
		var list []redfish.Machine
		byUUID := map[string]*machine{}
		for _, w := range powertest.Want() {
			m := &machine{info: redfish.Info{Name: w.Name, UUID: strings.ToLower(w.UUID), On: w.Power == power.On,
				Enabled: "Disabled", Target: "None", CPUs: 1, MemoryMiB: 512, MACs: w.MACs}}
			list, byUUID[w.UUID] = append(list, m), m
		}
		srv := httptest.NewServer(redfish.New("lab", "pass word", list, nil).Handler())
		t.Cleanup(srv.Close)
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte("pass word\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := power.Redfish(power.Service{URL: srv.URL, Username: "lab", PasswordFile: file})
		if err != nil {
			t.Fatal(err)
		}
		return powertest.Service{
			Driver: d,
			BootOnce: func(uuid string) string {
				i := byUUID[uuid].Info()
				if i.Enabled != "Once" {
					return ""
				}
				return map[string]string{"Pxe": power.BootPXE, "Hdd": power.BootDisk}[i.Target]
			},
			Starts: func(uuid string) int {
				m := byUUID[uuid]
				m.mu.Lock()
				defer m.mu.Unlock()
				return m.starts
			},
		}
	})
}
