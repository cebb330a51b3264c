package life

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// guestIP is on the tests' bridge.
const guestIP = "10.77.0.77"

// newKey makes a key, and a file of authorized keys with it.
func newKey(t *testing.T) (signer ssh.Signer, authorized string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if signer, err = ssh.NewSignerFromKey(key); err != nil {
		t.Fatal(err)
	}
	authorized = filepath.Join(t.TempDir(), "authorized_keys")
	if err := os.WriteFile(authorized, ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	return signer, authorized
}

// TestSSH: people whose key is in the ramdisk log in while it waits, and help
// it on; the host key is the one that the console shows. Another key is
// refused. Nothing of it is left in the root.
func TestSSH(t *testing.T) {
	t.Parallel()
	signer, keys := newKey(t)
	words := append(hook(t, "initqueue/finished", "10-wait.sh", "[ -e /tmp/go ]\n"), "--add-feature", "ssh", "--include", keys, "/root/.ssh/authorized_keys")
	disk := vmtest.MarkerRoot(t, 64<<20, "ls /run/bareroot; netstat -ltn; ps -o pid,args | grep -v '\\['")
	spec := vmtest.Direct(t, vmtest.Ramdisk(t, words...), "root=/dev/vda rd.ssh rd.retry=120 ip="+guestIP+"::"+vmtest.Addr()+":255.255.255.0:node::none", qemu.Disk{Path: disk})
	spec.NICs = []qemu.NIC{{}}
	v := vmtest.Boot(t, spec)
	print := v.Expect(`ssh: port 22, 1 keys may log in as root; host key (SHA256:\S+) \(made for this boot\)`, boundBoot)[1]
	v.Expect(`ssh: log in with: ssh root@`+guestIP, boundStep)
	dial := func(auth ssh.Signer) (*ssh.Client, error) {
		return ssh.Dial("tcp", net.JoinHostPort(guestIP, "22"), &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(auth)}, Timeout: 30 * time.Second,
			HostKeyCallback: func(_ string, _ net.Addr, k ssh.PublicKey) error {
				if ssh.FingerprintSHA256(k) != print {
					t.Errorf("host key %s, the console said %s", ssh.FingerprintSHA256(k), print)
				}
				return nil
			}})
	}
	_, wrong, _ := ed25519.GenerateKey(rand.Reader)
	if other, err := ssh.NewSignerFromKey(wrong); err != nil {
		t.Fatal(err)
	} else if c, err := dial(other); err == nil {
		c.Close()
		t.Error("a key that nobody gave may log in")
	}
	v.Expect(`ssh: refused`, boundStep)
	c, err := dial(signer)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	s.Stdin = strings.NewReader("payload")
	out, err := s.CombinedOutput("cat >/tmp/copied; cat /tmp/copied; echo; cat /proc/1/cmdline")
	if err != nil || !strings.Contains(string(out), "payload\n/init") {
		t.Errorf("%v: %s", err, out)
	}
	if s, err = c.NewSession(); err != nil {
		t.Fatal(err)
	}
	_ = s.Run("touch /tmp/go") // the boot goes on, and may end it before it has said so
	after := v.Expect(vmtest.Marker+`(?s:.*)reboot: Power down`, boundBoot)[0]
	for _, left := range []string{"bareroot-agent", "ssh.json", ":22 "} {
		if strings.Contains(after, left) {
			t.Errorf("%q is left in the root:\n%s", left, after)
		}
	}
}
