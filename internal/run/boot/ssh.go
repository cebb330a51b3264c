package boot

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"bareroot/internal/rdconf"
	"bareroot/internal/run/console"
)

// authorizedKeys is where people put keys into a ramdisk.
const authorizedKeys = "/root/.ssh/authorized_keys"

// sshWanted is how the ssh server shall run: if rd.ssh says so, or else if the
// configuration has a part for it. nil: not at all.
func (b *Boot) sshWanted() *rdconf.SSH {
	if !b.line.Bool(b.conf.SSH != nil, "rd.ssh") {
		return nil
	}
	var c rdconf.SSH
	if b.conf.SSH != nil {
		c = *b.conf.SSH
	}
	if text, err := os.ReadFile(authorizedKeys); err == nil {
		c.Keys = append(c.Keys[:len(c.Keys):len(c.Keys)], strings.Split(string(text), "\n")...)
	}
	return &c
}

// startSSH starts the ssh server and, for it, the network. Neither holds up the
// boot, and neither's failure is the boot's.
func (b *Boot) startSSH() {
	c := b.sshWanted()
	if c == nil || b.ssh != nil {
		return
	}
	if !hasAgent() {
		b.log.Warnf("rd.ssh: this ramdisk was built without bareroot-agent, which is the ssh server; build it with --add-feature ssh")
		return
	}
	if err := rdconf.WriteFile(rdconf.SSHPath, c); err != nil {
		b.log.Warnf("rd.ssh: %v", err)
		return
	}
	if b.network == nil {
		if err := b.startNetwork(); err != nil {
			b.log.Warnf("rd.ssh: %v", err)
			return
		}
	}
	ctx, cancel := context.WithCancel(b.life)
	done := make(chan struct{})
	b.ssh = func() { cancel(); <-done }
	go func() {
		defer close(done)
		if err := b.readyAgent(ctx); err != nil {
			b.log.Warnf("rd.ssh: %v", err)
			return
		}
		crash := restarts{max: 3, within: time.Minute}
		for {
			ws, err := b.reaper.Run(ctx, console.Command{Argv: []string{rdconf.AgentPath, "--ssh", rdconf.SSHPath}, Line: func(s string) {
				b.log.Infof("ssh: %s", strings.TrimPrefix(s, "ssh: "))
			}})
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				err = fmt.Errorf("the ssh server ended: %s", console.ExitText(ws))
			}
			if !crash.allow(time.Now()) {
				b.log.Warnf("%v; it is given up", err)
				return
			}
			b.log.Warnf("%v; starting it again", err)
		}
	}()
}

// stopSSH ends the ssh server, and who is logged in.
func (b *Boot) stopSSH() {
	if b.ssh != nil {
		b.ssh()
		b.ssh = nil
	}
	_ = os.Remove(rdconf.SSHPath) // the host key is not the root's
}
