package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"bareroot/internal/rdconf"
	"bareroot/internal/run/sshd"
)

// serveSSH is the ssh server, until ctx ends. What it says goes line by line to
// out, which is the boot's log.
func serveSSH(ctx context.Context, path string, out io.Writer) error {
	var c rdconf.SSH
	if err := rdconf.ReadFile(path, &c); err != nil {
		return fmt.Errorf("ssh: %w", err)
	}
	var mu sync.Mutex
	say := func(format string, a ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, format+"\n", a...)
	}
	keys, problems := sshd.ParseKeys(c.Keys)
	for _, p := range problems {
		say("%v", p)
	}
	if len(keys) == 0 {
		return errors.New("ssh: nobody may log in: there is no authorized key in this ramdisk (/root/.ssh/authorized_keys) or its configuration")
	}
	host, made, err := sshd.HostKey(c.HostKey)
	if err != nil {
		return fmt.Errorf("ssh: %w", err)
	}
	port := c.Port
	if port == 0 {
		port = 22
	}
	l, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("ssh: %w", err)
	}
	kind := "of this machine's configuration"
	if made {
		kind = "made for this boot"
	}
	say("port %d, %d keys may log in as root; host key %s (%s)", port, len(keys), ssh.FingerprintSHA256(host.PublicKey()), kind)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Add(1)
	go func() { defer wg.Done(); announce(ctx, say) }()
	s := &sshd.Server{Keys: keys, Host: host, Shell: "/bin/sh", Logf: say,
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "PS1=bareroot:\\w# ", "ENV=/run/bareroot/shrc"}}
	if err := s.Serve(ctx, l); ctx.Err() == nil {
		return err
	}
	return nil
}

// announce says each address that people can log in at, as it appears.
func announce(ctx context.Context, say func(string, ...any)) {
	var told []string
	t := time.NewTicker(2 * time.Second)
	defer t.Stop()
	for {
		addrs, _ := net.InterfaceAddrs()
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok || !n.IP.IsGlobalUnicast() || slices.Contains(told, n.IP.String()) {
				continue
			}
			told = append(told, n.IP.String())
			say("log in with: ssh root@%s", n.IP)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}
