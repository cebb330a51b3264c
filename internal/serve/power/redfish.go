package power

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"bareroot/internal/serve/inventory"
)

// ErrUnknown is a machine that the service does not hold.
var ErrUnknown = errors.New("the service holds no such machine")

// offLimit bounds the wait for power to go, where a service cannot cycle.
const offLimit = 30 * time.Second

// redfish is a Driver for one Redfish service.
//
// Each call connects anew with basic authentication, which every service must
// offer (DSP0266 13.3): sessions are few on real controllers, and one that
// died with a killed server would block the next.
type redfish struct {
	svc  Service
	http *http.Client

	mu    sync.Mutex
	paths map[string]string // UUID to the system's @odata.id
}

// Redfish is the driver for the Redfish service that s describes.
func Redfish(s Service) (Driver, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return newRedfish(s), nil
}

func newRedfish(s Service) *redfish {
	return &redfish{
		svc: s,
		http: &http.Client{
			Timeout: 20 * time.Second, // one request; slow controllers take seconds
			Transport: &http.Transport{
				// No proxy from the environment: controllers are near.
				DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
				TLSHandshakeTimeout: 10 * time.Second,
				TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.Insecure},
			},
			// A controller that redirects elsewhere would be handed the password.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		paths: map[string]string{},
	}
}

// connect opens the service root.
func (r *redfish) connect(ctx context.Context) (*gofish.APIClient, error) {
	c := gofish.ClientConfig{
		Endpoint:          strings.TrimRight(r.svc.URL, "/"),
		BasicAuth:         true,
		HTTPClient:        r.http,
		NoModifyTransport: true,
	}
	if r.svc.Username != "" {
		pw, err := r.svc.password()
		if err != nil {
			return nil, err
		}
		c.Username, c.Password = r.svc.Username, pw
	}
	client, err := gofish.ConnectContext(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open redfish service %s: %w", r.svc.URL, plain(err))
	}
	return client, nil
}

// Systems implements Driver.
func (r *redfish) Systems(ctx context.Context) ([]inventory.PowerSystem, error) {
	client, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	list, err := client.Service.Systems()
	if err != nil {
		// One broken member must not hide the others.
		err = fmt.Errorf("list systems of %s: %w", r.svc.URL, plain(err))
	}
	var out []inventory.PowerSystem
	paths := map[string]string{}
	for _, s := range list {
		uuid := strings.ToLower(s.UUID)
		if uuid == "" {
			continue // nothing to know it by
		}
		name := s.HostName
		if name == "" {
			name = s.Name
		}
		macs, nicErr := macsOf(s)
		if nicErr != nil {
			err = errors.Join(err, fmt.Errorf("list interfaces of %s%s: %w", r.svc.URL, s.ODataID, plain(nicErr)))
		}
		paths[uuid] = s.ODataID
		out = append(out, inventory.PowerSystem{UUID: uuid, Name: name, MACs: macs, Power: state(s.PowerState)})
	}
	slices.SortFunc(out, func(a, b inventory.PowerSystem) int { return strings.Compare(a.UUID, b.UUID) })
	r.mu.Lock()
	for u, p := range paths {
		r.paths[u] = p
	}
	r.mu.Unlock()
	return out, err
}

// macsOf lists the permanent addresses of a system's interfaces.
func macsOf(s *schemas.ComputerSystem) ([]string, error) {
	nics, err := s.EthernetInterfaces()
	var macs []string
	for _, n := range nics {
		mac := n.PermanentMACAddress
		if mac == "" {
			mac = n.MACAddress
		}
		if hw, perr := net.ParseMAC(mac); perr == nil {
			macs = append(macs, hw.String())
		}
	}
	slices.Sort(macs)
	return slices.Compact(macs), err
}

// state maps Redfish's power states.
func state(p schemas.PowerState) string {
	switch p {
	case schemas.OnPowerState, schemas.PoweringOffPowerState, schemas.PausedPowerState:
		return On
	case schemas.OffPowerState, schemas.PoweringOnPowerState:
		return Off
	}
	return Unknown
}

// system reads one system afresh.
func (r *redfish) system(ctx context.Context, uuid string) (*schemas.ComputerSystem, error) {
	path := r.path(uuid)
	if path == "" {
		if _, err := r.Systems(ctx); err != nil && r.path(uuid) == "" {
			return nil, err
		}
		if path = r.path(uuid); path == "" {
			return nil, fmt.Errorf("find %s at %s: %w", uuid, r.svc.URL, ErrUnknown)
		}
	}
	client, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	s, err := schemas.GetComputerSystem(client, path)
	if err != nil {
		return nil, fmt.Errorf("read %s%s: %w", r.svc.URL, path, plain(err))
	}
	if !strings.EqualFold(s.UUID, uuid) {
		// Renumbered: better to fail once than to switch the wrong machine.
		r.mu.Lock()
		delete(r.paths, uuid)
		r.mu.Unlock()
		return nil, fmt.Errorf("%s%s is now the machine %s, not %s; try again", r.svc.URL, path, strings.ToLower(s.UUID), uuid)
	}
	return s, nil
}

func (r *redfish) path(uuid string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paths[uuid]
}

// Status implements Driver.
func (r *redfish) Status(ctx context.Context, uuid string) (string, error) {
	s, err := r.system(ctx, uuid)
	if err != nil {
		return Unknown, err
	}
	return state(s.PowerState), nil
}

// On implements Driver.
func (r *redfish) On(ctx context.Context, uuid string) error {
	s, err := r.system(ctx, uuid)
	if err != nil || state(s.PowerState) == On {
		return err
	}
	return r.reset(s, schemas.OnResetType)
}

// Off implements Driver.
func (r *redfish) Off(ctx context.Context, uuid string) error {
	s, err := r.system(ctx, uuid)
	if err != nil || state(s.PowerState) == Off {
		return err
	}
	return r.reset(s, schemas.ForceOffResetType)
}

// Cycle implements Driver. A restart is preferred to a power cycle, as nearly
// every service offers it; one with neither is switched off and on.
func (r *redfish) Cycle(ctx context.Context, uuid string) error {
	s, err := r.system(ctx, uuid)
	if err != nil {
		return err
	}
	if state(s.PowerState) == Off {
		return r.reset(s, schemas.OnResetType)
	}
	kinds, err := s.GetSupportedResetTypes()
	if err != nil {
		return fmt.Errorf("read reset types of %s%s: %w", r.svc.URL, s.ODataID, plain(err))
	}
	for _, k := range []schemas.ResetType{schemas.ForceRestartResetType, schemas.PowerCycleResetType} {
		if len(kinds) == 0 || slices.Contains(kinds, k) {
			return r.reset(s, k)
		}
	}
	if err := r.reset(s, schemas.ForceOffResetType); err != nil {
		return err
	}
	if _, err := await(ctx, r, uuid, Off, offLimit); err != nil {
		return err
	}
	return r.reset(s, schemas.OnResetType)
}

// SetBootOnce implements Driver. The boot mode is left as it is: machines
// have one firmware, and some services refuse to be told.
func (r *redfish) SetBootOnce(ctx context.Context, uuid, device string) error {
	target := schemas.PxeBootSource
	switch device {
	case BootPXE:
	case BootDisk:
		target = schemas.HddBootSource
	default:
		return fmt.Errorf("boot device %q is not known; use pxe or disk", device)
	}
	s, err := r.system(ctx, uuid)
	if err != nil {
		return err
	}
	if err := s.SetBoot(&schemas.Boot{
		BootSourceOverrideEnabled: schemas.OnceBootSourceOverrideEnabled,
		BootSourceOverrideTarget:  target,
	}); err != nil {
		return fmt.Errorf("set boot device of %s%s to %s: %w", r.svc.URL, s.ODataID, target, plain(err))
	}
	return nil
}

func (r *redfish) reset(s *schemas.ComputerSystem, k schemas.ResetType) error {
	if _, err := s.Reset(k); err != nil {
		return fmt.Errorf("reset %s%s (%s): %w", r.svc.URL, s.ODataID, k, plain(err))
	}
	return nil
}

// plain shortens gofish's errors, which may carry a whole reply body, to one
// line that a person can read.
func plain(err error) error {
	if refusesLogin(err) {
		return &flat{"the service refuses the user name or password (401)", err}
	}
	line := strings.Join(strings.Fields(err.Error()), " ")
	if len(line) > 300 {
		line = line[:300] + "..."
	}
	return &flat{line, err}
}

// refusesLogin says whether the service answered 401. Lists give their
// members' errors as text only.
func refusesLogin(err error) bool {
	var e *schemas.Error
	return errors.As(err, &e) && e.HTTPReturnedStatusCode == http.StatusUnauthorized || loginText.MatchString(err.Error())
}

var loginText = regexp.MustCompile(`"error":\s*"401: |^401: `)

// flat is an error with another text.
type flat struct {
	text string
	err  error
}

func (f *flat) Error() string { return f.text }
func (f *flat) Unwrap() error { return f.err }
