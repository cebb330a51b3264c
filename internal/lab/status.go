package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/lab/qemu"
	"bareroot/internal/lab/sock"
)

// Status is what "lab list" shows.
type Status struct {
	StateDir     string            `json:"state_dir"`
	Accel        string            `json:"accel"`
	AccelWhy     string            `json:"accel_why"`
	Redfish      string            `json:"redfish"`
	User         string            `json:"redfish_user"`
	PasswordFile string            `json:"redfish_password_file"`
	Machines     []MachineStatus   `json:"machines"`
	Services     []ServiceStatus   `json:"services"`
	Addresses    map[string]string `json:"addresses"` // of listeners outside
}

// MachineStatus is one machine.
type MachineStatus struct {
	Name     string    `json:"name"`
	UUID     string    `json:"uuid"`
	Firmware string    `json:"firmware"`
	Power    string    `json:"power"` // on, off
	Since    time.Time `json:"since"`
	Starts   int       `json:"starts"`
	Override string    `json:"boot_override,omitempty"`
	MACs     []string  `json:"macs"`
	Disks    []string  `json:"disks"` // files
	Console  string    `json:"console"`
	Log      string    `json:"console_log"`
	Error    string    `json:"error,omitempty"`
}

// ServiceStatus is one service.
type ServiceStatus struct {
	Name  string `json:"name"`
	State string `json:"state"` // running, or how it ended
	Log   string `json:"log"`
}

func (w *world) status() Status {
	s := Status{StateDir: w.state, Accel: w.Accel.Accel, AccelWhy: w.Accel.Why, Redfish: w.Redfish,
		User: w.Config.Redfish.User, PasswordFile: PasswordFile(w.state), Addresses: w.Listen,
		Machines: []MachineStatus{}, Services: []ServiceStatus{}}
	for _, m := range w.machines {
		s.Machines = append(s.Machines, machineStatus(m))
	}
	for _, sv := range w.services {
		sv.mu.Lock()
		state := sv.exit
		sv.mu.Unlock()
		if state == "" {
			state = "running"
		}
		s.Services = append(s.Services, ServiceStatus{Name: sv.cfg.Name, State: state, Log: sv.path})
	}
	return s
}

func machineStatus(m *qemu.Machine) MachineStatus {
	spec, st := m.Spec(), m.State()
	out := MachineStatus{Name: spec.Name, UUID: spec.UUID, Firmware: spec.Firmware, Power: "off", Since: st.Since,
		Starts: st.Starts, Console: m.ConsoleSocket(), Log: m.ConsoleLog(), MACs: []string{}, Disks: []string{}}
	if st.On {
		out.Power = "on"
	}
	if st.Override.Enabled != "Disabled" {
		out.Override = st.Override.Target + " " + st.Override.Enabled
	}
	if st.Err != nil {
		out.Error = st.Err.Error()
	}
	for _, n := range spec.NICs {
		out.MACs = append(out.MACs, n.MAC)
	}
	for i := range spec.Disks {
		out.Disks = append(out.Disks, m.DiskPath(i))
	}
	return out
}

// controlHandler answers on the lab's own socket.
func (w *world) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(w.status()) // a client that left is no concern of ours
	})
	return mux
}

// GetStatus asks the lab of a state directory.
func GetStatus(ctx context.Context, stateDir string) (Status, error) {
	path := filepath.Join(stateDir, controlName)
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return sock.Dial(path) }}
	defer tr.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://lab/status", nil)
	if err != nil {
		return Status{}, err
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return Status{}, fmt.Errorf("%w in %s", ErrNotUp, stateDir)
	}
	if err != nil {
		return Status{}, fmt.Errorf("ask the lab: %w", err)
	}
	defer resp.Body.Close()
	var s Status
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return Status{}, fmt.Errorf("ask the lab: %w", err)
	}
	return s, nil
}
