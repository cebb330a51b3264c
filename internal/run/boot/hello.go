package boot

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/api"
	"bareroot/internal/rdconf"
	"bareroot/internal/run/errand"
	"bareroot/internal/run/netconf"
	"bareroot/internal/sys"
	"bareroot/internal/version"
)

// maxSkew is how far our clock may be off before it is set.
const maxSkew = 2 * time.Second

// HTTP's refusals that mean "later" (RFC 9110, RFC 6585).
const (
	timeout = 408
	tooMany = 429
)

// hello exchanges the nonce for a session, sets the clock, and leaves the
// session for the agent.
func (b *Boot) hello(ctx context.Context) error {
	s := b.conf.Server
	if s == nil || b.session != nil {
		return nil
	}
	if b.courier == nil {
		if !hasAgent() {
			return fmt.Errorf("there is a server, %s, but %w", s.URL, errNoAgent)
		}
		b.courier = b.newCourier()
	}
	req := api.HelloRequest{
		Protocol: api.AgentProtocol, Nonce: s.Nonce, BootID: b.bootID, Program: "bareroot-init", Version: version.String(),
		UUID: strings.ToLower(sys.Line("/sys/class/dmi/id/product_uuid")), MACs: netconf.MACs(b.netMAC()), Kinds: b.kinds(),
	}
	ctx, cancel := context.WithTimeout(ctx, b.limit())
	defer cancel()
	var reply *api.HelloReply
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		a, err := b.courier.Send(ctx, errand.Errand{Hello: &errand.Hello{Server: *s, Request: req}}, nil)
		if err == nil && a.Hello == nil {
			err = errors.New("bareroot-agent says nothing of the server's answer")
		}
		if err == nil {
			reply = a.Hello
			break
		}
		// A refusal does not become a yes by asking again; a server that is away or
		// too busy may.
		var p *api.Problem
		if errors.Is(err, errand.ErrGone) {
			return err
		}
		if errors.As(err, &p) && p.Status/100 == 4 && p.Status != tooMany && p.Status != timeout {
			return fmt.Errorf("the server refused this boot: %w", err)
		}
		b.log.Warnf("%v; trying again in %s", err, pause)
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("no session within %s: %w", b.limit(), err)
		}
	}
	b.setClock(reply.ServerTime)
	b.session = &rdconf.Session{Server: *s, Token: reply.Token, Machine: reply.Machine, Name: reply.Name, BootID: b.bootID}
	if err := rdconf.WriteFile(rdconf.SessionPath, b.session); err != nil {
		return err
	}
	b.log.Infof("hello: this is machine %s (%s) of %s", reply.Name, reply.Machine, s.URL)
	b.report.Connect(b.life, b.courier, b.session)
	b.report.Event("network", b.netText(), false)
	b.report.Event("hello", "bareroot-init "+version.String()+", kernel "+b.kver, false)
	return nil
}

// kinds of order that this ramdisk can do.
func (b *Boot) kinds() []string {
	if !hasAgent() {
		return nil
	}
	return []string{api.KindDiscover, api.KindDeploy, api.KindRoot, api.KindReboot, api.KindPowerOff}
}

func (b *Boot) setClock(server time.Time) {
	off := time.Until(server)
	if server.IsZero() || (off < maxSkew && off > -maxSkew) {
		return
	}
	tv := unix.NsecToTimeval(server.UnixNano())
	if err := unix.Settimeofday(&tv); err != nil {
		b.log.Warnf("set the clock to %s: %v", server.Format(time.RFC3339), err)
		return
	}
	b.log.Infof("the clock was %s off and is set to %s by the server", off.Round(time.Second), server.UTC().Format(time.RFC3339))
}

// probeAddress is host:port that a NIC must reach to win.
func probeAddress(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443"}[u.Scheme]
		if port == "" {
			port = "80"
		}
	}
	if strings.Contains(u.Hostname(), ":") {
		return "[" + u.Hostname() + "]:" + port
	}
	return u.Hostname() + ":" + port
}
