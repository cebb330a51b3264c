// Package sshd is the ssh server of a ramdisk: shells and commands for people
// whose key it was given. There are no passwords, no users but root, no
// forwarding and no sftp; a file is copied by a command ("cat >file").
// RFC 4252 and 4254.
package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Bounds for people who have not shown a key yet.
const (
	loginTime    = 60 * time.Second
	maxStrangers = 16
)

// Server is one ssh server.
type Server struct {
	Keys []ssh.PublicKey
	Host ssh.Signer
	// Env is the environment of what is run; Shell the program for a login, and
	// with -c for a command.
	Env   []string
	Shell string
	Logf  func(format string, args ...any)
}

// ParseKeys reads lines as in authorized_keys. Lines that are no key, or that
// have options (a forced command must not be overlooked), are named in
// problems.
func ParseKeys(lines []string) (keys []ssh.PublicKey, problems []error) {
	for _, l := range lines {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		k, _, options, _, err := ssh.ParseAuthorizedKey([]byte(l))
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("authorized key %.40q: %w", l, err))
		case len(options) > 0:
			problems = append(problems, fmt.Errorf("authorized key %.40q: options are not known here, so it is not used", l))
		default:
			keys = append(keys, k)
		}
	}
	return keys, problems
}

// HostKey reads a private key, or makes one that lives as long as the process.
func HostKey(pem string) (signer ssh.Signer, made bool, err error) {
	if pem == "" {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, false, fmt.Errorf("make a host key: %w", err)
		}
		signer, err = ssh.NewSignerFromKey(key)
		return signer, true, err
	}
	signer, err = ssh.ParsePrivateKey([]byte(pem))
	if err != nil {
		return nil, false, fmt.Errorf("read the host key: %w", err)
	}
	return signer, false, nil
}

// Serve answers on l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	conf := &ssh.ServerConfig{MaxAuthTries: 6, ServerVersion: "SSH-2.0-bareroot", PublicKeyCallback: s.allow}
	conf.AddHostKey(s.Host)
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	strangers := make(chan struct{}, maxStrangers)
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				continue
			}
			return fmt.Errorf("ssh: %w", err)
		}
		select {
		case strangers <- struct{}{}:
		default:
			c.Close() // too many at the door
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			s.connection(ctx, c, conf, func() { <-strangers })
		}()
	}
}

func (s *Server) allow(m ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	if m.User() != "root" {
		return nil, fmt.Errorf("user %q: there is only root", m.User())
	}
	for _, k := range s.Keys {
		if bytes.Equal(k.Marshal(), key.Marshal()) {
			return &ssh.Permissions{Extensions: map[string]string{"key": ssh.FingerprintSHA256(key)}}, nil
		}
	}
	return nil, fmt.Errorf("key %s is not one of those that may log in", ssh.FingerprintSHA256(key))
}

// connection serves one client. known is called when it is no stranger any
// longer.
func (s *Server) connection(ctx context.Context, c net.Conn, conf *ssh.ServerConfig, known func()) {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(loginTime))
	conn, channels, requests, err := ssh.NewServerConn(c, conf)
	known()
	if err != nil {
		s.Logf("refused %s: %v", c.RemoteAddr(), err)
		return
	}
	_ = c.SetDeadline(time.Time{})
	s.Logf("login from %s with key %s", c.RemoteAddr(), conn.Permissions.Extensions["key"])
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Add(1)
	go func() { defer wg.Done(); ssh.DiscardRequests(requests) }()
	for ch := range channels {
		if ch.ChannelType() != "session" {
			_ = ch.Reject(ssh.Prohibited, "only sessions; nothing is forwarded")
			continue
		}
		channel, reqs, err := ch.Accept()
		if err != nil {
			break
		}
		wg.Add(1)
		go func() { defer wg.Done(); s.session(ctx, channel, reqs) }()
	}
	conn.Close()
	s.Logf("logout from %s", c.RemoteAddr())
}
