package roots

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bareroot/internal/lab/qemu"
	"bareroot/tests/vm/vmtest"
)

// swtpm starts an emulated TPM with its state in dir. It returns what stops it.
func swtpm(t *testing.T, dir string, args ...string) (stop func()) {
	t.Helper()
	pid := filepath.Join(t.TempDir(), "pid")
	// It goes into the background once it listens.
	tool(t, append([]string{"swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + dir, "--daemon", "--pid", "file=" + pid}, args...)...)
	b, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _ = syscall.Kill(n, syscall.SIGTERM) }) // it may have ended with QEMU
	t.Cleanup(stop)
	return stop
}

// TestTPM: a LUKS device that the machine's TPM opens, by systemd's token.
func TestTPM(t *testing.T) {
	vmtest.AllOnly(t)
	for _, p := range []string{"swtpm", "systemd-cryptenroll"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%v: install swtpm and systemd", err)
		}
	}
	disk, state := vmtest.BlankDisk(t, 40*mib), t.TempDir()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "cryptsetup", "luksFormat", "-q", "--type", "luks2", "--uuid", luksUUID, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", key, disk)
	stop := swtpm(t, state, "--server", "type=tcp,port=23321", "--ctrl", "type=tcp,port=23322", "--flags", "not-need-init,startup-clear")
	tool(t, "env", "PASSWORD=secret", "systemd-cryptenroll", "--tpm2-device=swtpm:host=127.0.0.1,port=23321", "--tpm2-pcrs=", disk)
	stop()

	// SeaBIOS turns a TPM's hierarchies off that answers late (tpm_set_failure in its
	// tcgbios.c), as it may on a busy machine. Then there is nothing to be had from it.
	const late = "hierarchy is not enabled"
	ramdisk := vmtest.Ramdisk(t, "--add-feature", "tpm2")
	var v *vmtest.VM
	for try := 1; v == nil; try++ {
		sock := filepath.Join(t.TempDir(), "tpm")
		stop := swtpm(t, state, "--ctrl", "type=unixio,path="+sock)
		spec := vmtest.Direct(t, ramdisk, "root=/dev/mapper/luks-"+luksUUID+off, qemu.Disk{Path: disk})
		spec.Args = []string{"-chardev", "socket,id=tpm,path=" + sock, "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm0"}
		v = vmtest.Boot(t, spec)
		if got := v.Expect(`/dev/vda is open as /dev/mapper/luks-`+luksUUID+`|`+late, boot); got[0] == late && try < 3 {
			v.PowerCut()
			stop()
			v = nil
		}
	}
	v.Expect(`FAILED: stage mount: .*no filesystem that is known here`, boot)
	v.WaitPowerOff(time.Minute)
	if strings.Contains(v.Text(), "Passphrase for") {
		t.Error("a passphrase was asked for")
	}
}
