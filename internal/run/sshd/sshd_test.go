package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func signer(t testing.TB) ssh.Signer {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve starts a server that knows one key.
func serve(t *testing.T) (addr string, key ssh.Signer) {
	t.Helper()
	key = signer(t)
	keys, problems := ParseKeys([]string{"# people", string(ssh.MarshalAuthorizedKey(key.PublicKey()))})
	if len(keys) != 1 || len(problems) > 0 {
		t.Fatal(keys, problems)
	}
	host, made, err := HostKey("")
	if err != nil || !made {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	s := &Server{Keys: keys, Host: host, Shell: "/bin/sh", Env: []string{"PATH=/usr/bin:/bin", "PS1=ready# "}, Logf: t.Logf}
	go func() { defer close(done); _ = s.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return l.Addr().String(), key
}

func dial(t *testing.T, addr, user string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	t.Helper()
	return ssh.Dial("tcp", addr, &ssh.ClientConfig{User: user, Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: time.Minute})
}

func TestWhoMayLogIn(t *testing.T) {
	addr, key := serve(t)
	for name, c := range map[string]struct {
		user string
		auth ssh.AuthMethod
		ok   bool
	}{
		"the key":       {"root", ssh.PublicKeys(key), true},
		"another key":   {"root", ssh.PublicKeys(signer(t)), false},
		"another user":  {"admin", ssh.PublicKeys(key), false},
		"a password":    {"root", ssh.Password("root"), false},
		"nothing":       {"root", ssh.Password(""), false},
		"key and other": {"root", ssh.PublicKeys(signer(t), key), true},
	} {
		c2, err := dial(t, addr, c.user, c.auth)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			c2.Close()
		}
	}
}

func TestCommands(t *testing.T) {
	addr, key := serve(t)
	c, err := dial(t, addr, "root", ssh.PublicKeys(key))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, row := range map[string]struct {
		command, in, out, err string
		code                  int
	}{
		"output and code":  {"echo out; echo err >&2; exit 7", "", "out\n", "err\n", 7},
		"a file is copied": {"wc -c", strings.Repeat("x", 300000), "300000\n", "", 0},
		"input not read":   {"echo hi", strings.Repeat("x", 300000), "hi\n", "", 0},
		"killed":           {"kill -9 $$", "", "", "", 255},
		"leaves a daemon":  {"(sleep 30 &) ; echo done", "", "done\n", "", 0},
	} {
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		s.Stdin, s.Stdout, s.Stderr = strings.NewReader(row.in), &out, &errs
		err = s.Run(row.command)
		code := 0
		if e, ok := err.(*ssh.ExitError); ok {
			code = e.ExitStatus()
		} else if err != nil && name != "input not read" { // its rest is refused
			t.Errorf("%s: %v", name, err)
		}
		if out.String() != row.out || errs.String() != row.err || code != row.code {
			t.Errorf("%s: %q %q code %d", name, &out, &errs, code)
		}
		s.Close()
	}
	if _, err := c.Dial("tcp", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "nothing is forwarded") {
		t.Errorf("forwarding: %v", err)
	}
}

func TestTerminal(t *testing.T) {
	addr, key := serve(t)
	c, err := dial(t, addr, "root", ssh.PublicKeys(key))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.RequestPty("vt100", 33, 77, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s.Stdout = &out
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("stty size; echo $TERM; tty; exit 3\n")); err != nil {
		t.Fatal(err)
	}
	err = s.Wait()
	if e, ok := err.(*ssh.ExitError); !ok || e.ExitStatus() != 3 {
		t.Errorf("ended with %v", err)
	}
	for _, want := range []string{"33 77", "vt100", "/dev/pts/"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in %q", want, &out)
		}
	}
}

func TestKeys(t *testing.T) {
	pub := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer(t).PublicKey())))
	keys, problems := ParseKeys([]string{"", "# x", pub + " joe@desk", "nonsense", `command="true" ` + pub})
	if len(keys) != 1 || len(problems) != 2 {
		t.Errorf("%d keys, %v", len(keys), problems)
	}
	if _, _, err := HostKey("-----BEGIN nonsense"); err == nil {
		t.Error("a host key of nonsense")
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(string(ssh.MarshalAuthorizedKey(signer(f).PublicKey())))
	f.Add("ssh-rsa AAAA x")
	f.Fuzz(func(t *testing.T, s string) {
		keys, problems := ParseKeys(strings.Split(s, "\n"))
		for _, k := range keys {
			if k == nil {
				t.Error("a key that is none")
			}
		}
		_ = problems
	})
}
