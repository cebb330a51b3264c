package distro

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"bareroot/internal/hosttool"
)

// Foreign returns a tree of another architecture (arm64): the newest kernel of
// the host's distribution for it, and the packages with all that they depend
// on, unpacked below cacheDir. Nothing of it is run, and the host's own apt and
// dpkg do not learn of it. Made once, the tree stays as it is.
func Foreign(ctx context.Context, cacheDir, arch string, packages ...string) (Found, error) {
	rel, err := Detect()
	if err == nil && rel.ID != "debian" {
		err = fmt.Errorf("only Debian has other architectures in the same archive, not %s", rel.ID)
	}
	if err == nil {
		cacheDir, err = filepath.Abs(cacheDir)
	}
	var k Found
	if err == nil {
		k, err = foreign(ctx, hosttool.Host{}, rel, cacheDir, arch, packages)
	}
	if err != nil {
		return Found{}, fmt.Errorf("get a kernel and packages for %s: %w", arch, err)
	}
	return k, nil
}

func foreign(ctx context.Context, run hosttool.Runner, rel Release, cacheDir, arch string, packages []string) (Found, error) {
	sum := sha256.Sum256([]byte(strings.Join(packages, " ")))
	dir := filepath.Join(cacheDir, fmt.Sprintf("%s-%s-%s-%x", rel.ID, rel.Version, arch, sum[:4]))
	if k, ok := in(dir); ok {
		return k, nil
	}
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return Found{}, err
	}
	tmp, err := os.MkdirTemp(cacheDir, ".foreign-")
	if err != nil {
		return Found{}, err
	}
	defer os.RemoveAll(tmp)
	conf, err := privateApt(tmp, rel, arch)
	if err != nil {
		return Found{}, err
	}
	apt := func(dir string, args ...string) ([]byte, error) {
		return run.Run(ctx, hosttool.Cmd{Args: args, Dir: dir, Env: []string{"APT_CONFIG=" + conf}})
	}
	if _, err := apt(tmp, "apt-get", "-q", "update"); err != nil {
		return Found{}, err
	}
	meta := "linux-image-" + arch
	out, err := apt(tmp, "apt-cache", "depends", "--important", meta)
	if err != nil {
		return Found{}, err
	}
	kernel := kernelPackages(string(out))
	if len(kernel) == 0 {
		return Found{}, fmt.Errorf("the package lists name no kernel for %s", meta)
	}
	debs := filepath.Join(tmp, "debs")
	// Without the kernel's dependencies, which are programs to install it.
	if _, err := apt(debs, append([]string{"apt-get", "-q", "download"}, kernel...)...); err != nil {
		return Found{}, err
	}
	from := []string{debs}
	if len(packages) > 0 {
		args := append([]string{"apt-get", "-q", "-y", "--no-install-recommends", "--download-only", "install"}, packages...)
		if _, err := apt(tmp, args...); err != nil {
			return Found{}, err
		}
		from = append(from, filepath.Join(tmp, "cache/archives"))
	}
	root := filepath.Join(tmp, "root")
	if err := extract(ctx, run, root, from...); err != nil {
		return Found{}, err
	}
	if err := os.Chmod(root, 0o755); err != nil {
		return Found{}, err
	}
	if err := os.Rename(root, dir); err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENOTEMPTY) {
		return Found{}, err
	}
	k, ok := in(dir) // ours, or that of another process that was faster
	if !ok {
		return Found{}, fmt.Errorf("%s is incomplete; remove it", dir)
	}
	return k, nil
}

// privateApt makes a state of apt of its own in dir, in which nothing is
// installed, for the distribution's sources only: those of others may lack the
// architecture. The host's other settings (a proxy) hold. It returns the file
// for APT_CONFIG.
func privateApt(dir string, rel Release, arch string) (string, error) {
	for _, d := range []string{"debs", "state/lists/partial", "cache/archives/partial", "sources"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return "", err
		}
	}
	found := false
	for from, to := range map[string]string{
		"/etc/apt/sources.list":                          "sources/host.list",
		"/etc/apt/sources.list.d/" + rel.ID + ".sources": "sources/host.sources",
	} {
		b, err := os.ReadFile(from)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), b, 0o644)
		}
		if err != nil {
			return "", err
		}
		found = true
	}
	if !found {
		return "", errors.New("no package sources found in /etc/apt")
	}
	status := filepath.Join(dir, "status")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return "", err
	}
	text := fmt.Sprintf(`APT::Architecture %q;
APT::Architectures { %q; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State %q;
Dir::State::status %q;
Dir::Cache %q;
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts %q;
`, arch, arch, filepath.Join(dir, "state"), status, filepath.Join(dir, "cache"), filepath.Join(dir, "sources"))
	conf := filepath.Join(dir, "apt.conf")
	return conf, os.WriteFile(conf, []byte(text), 0o644)
}
