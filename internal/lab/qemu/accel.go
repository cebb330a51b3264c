package qemu

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// Ways to run a guest.
const (
	TCG = "tcg" // emulation
	KVM = "kvm"
)

// Choice is how guests are run, and why.
type Choice struct {
	Accel string `json:"accel"`
	Why   string `json:"why"`
	Boot  string `json:"boot"` // boot id of the host the choice was made on
}

var virtFlags = regexp.MustCompile(`(?m)^flags\s*:.*\b(vmx|svm)\b`)

// Accel decides between KVM and emulation. A /dev/kvm that opens may still
// not run a guest (there are software-only ones), so without the processor's
// flag it is not tried, and with it a real kernel must get as far as saying
// its version. The result is kept in stateDir until the host is booted again.
//
// kernel finds the kernel to try with; it is asked only if there is a chance.
func Accel(ctx context.Context, kernel func(context.Context) (string, error), stateDir string) (Choice, error) {
	switch v := os.Getenv("BAREROOT_ACCEL"); v {
	case "":
	case TCG, KVM:
		return Choice{Accel: v, Why: "BAREROOT_ACCEL says so"}, nil
	default:
		return Choice{}, fmt.Errorf("BAREROOT_ACCEL=%q: known are tcg, kvm", v)
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return Choice{}, fmt.Errorf("choose accelerator: %w", err)
	}
	if !virtFlags.Match(info) {
		return Choice{Accel: TCG, Why: "the processor shows neither vmx nor svm"}, nil
	}
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return Choice{Accel: TCG, Why: fmt.Sprintf("/dev/kvm cannot be used: %v", err)}, nil
	}
	f.Close()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Choice{}, fmt.Errorf("choose accelerator: %w", err)
	}
	cache := filepath.Join(stateDir, "accel.json")
	var c Choice
	if b, err := os.ReadFile(cache); err == nil && json.Unmarshal(b, &c) == nil && c.Boot == string(boot) {
		return c, nil
	}
	image, err := kernel(ctx)
	if err != nil {
		return Choice{}, fmt.Errorf("find a kernel to try KVM with: %w", err)
	}
	c = Choice{Accel: KVM, Why: "a kernel booted with it", Boot: string(boot)}
	if err := tryKVM(ctx, image); err != nil {
		if ctx.Err() != nil {
			return Choice{}, ctx.Err()
		}
		c.Accel, c.Why = TCG, err.Error()
	}
	b, err := json.Marshal(c)
	if err != nil {
		return Choice{}, err
	}
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return Choice{}, fmt.Errorf("keep choice of accelerator: %w", err)
	}
	if err := os.WriteFile(cache, b, 0o644); err != nil {
		return Choice{}, fmt.Errorf("keep choice of accelerator: %w", err)
	}
	return c, nil
}

// tryKVM boots the kernel without a ramdisk, to the panic that ends it.
func tryKVM(ctx context.Context, kernel string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, Program, "-nodefaults", "-display", "none", "-machine", "q35", "-accel", KVM,
		"-cpu", "host", "-m", "512", "-no-reboot", "-serial", "stdio",
		"-kernel", kernel, "-append", "console=ttyS0 panic=-1").CombinedOutput()
	if bytes.Contains(out, []byte("Linux version")) {
		return nil
	}
	return fmt.Errorf("KVM did not boot %s within 10 s (%v)", kernel, err)
}
