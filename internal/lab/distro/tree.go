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

// Tree returns a root that was never installed: the newest kernel of the host's
// distribution for an architecture, and the packages with all that they depend
// on, unpacked below cacheDir. Nothing of it is run, and the host's own apt and
// dpkg do not learn of it. Made once, the tree stays as it is.
func Tree(ctx context.Context, cacheDir, arch string, packages ...string) (Found, error) {
	rel, err := Detect()
	if err == nil && rel.ID != "debian" {
		err = fmt.Errorf("only Debian has other architectures in the same archive, not %s", rel.ID)
	}
	if err == nil {
		cacheDir, err = filepath.Abs(cacheDir)
	}
	var k Found
	if err == nil {
		var dir string
		dir, err = makeTree(ctx, hosttool.Host{}, rel, cacheDir, arch, true, packages)
		ok := false
		if k, ok = in(dir); err == nil && !ok {
			err = fmt.Errorf("%s is incomplete; remove it", dir)
		}
	}
	if err != nil {
		return Found{}, fmt.Errorf("get a kernel and packages for %s: %w", arch, err)
	}
	return k, nil
}

// Packages is Tree without the kernel, for architectures whose programs the
// host's kernel runs, too (i386). It returns the tree.
func Packages(ctx context.Context, cacheDir, arch string, packages ...string) (string, error) {
	rel, err := Detect()
	if err == nil && rel.ID != "debian" {
		err = fmt.Errorf("only Debian has other architectures in the same archive, not %s", rel.ID)
	}
	if err == nil {
		cacheDir, err = filepath.Abs(cacheDir)
	}
	dir := ""
	if err == nil {
		dir, err = makeTree(ctx, hosttool.Host{}, rel, cacheDir, arch, false, packages)
	}
	if err != nil {
		return "", fmt.Errorf("get packages for %s: %w", arch, err)
	}
	return dir, nil
}

// makeTree returns the tree, which is there whole or not at all.
func makeTree(ctx context.Context, run hosttool.Runner, rel Release, cacheDir, arch string, kernel bool, packages []string) (string, error) {
	sum := sha256.Sum256([]byte(strings.Join(packages, " ")))
	dir := filepath.Join(cacheDir, fmt.Sprintf("%s-%s-%s-%x", rel.ID, rel.Version, arch, sum[:4]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(cacheDir, ".tree-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	conf, err := privateApt(tmp, rel, arch)
	if err != nil {
		return "", err
	}
	apt := func(dir string, args ...string) ([]byte, error) {
		return run.Run(ctx, hosttool.Cmd{Args: args, Dir: dir, Env: []string{"APT_CONFIG=" + conf}})
	}
	// An archive that is being updated misses single lists; the others will do
	// if the packages are in them.
	_, unlisted := apt(tmp, "apt-get", "-q", "update")
	var from []string
	if kernel {
		debs := filepath.Join(tmp, "debs")
		if err := downloadKernel(apt, tmp, debs, "linux-image-"+arch); err != nil {
			return "", errors.Join(err, unlisted)
		}
		from = append(from, debs)
	}
	if len(packages) > 0 {
		args := append([]string{"apt-get", "-q", "-y", "--no-install-recommends", "--download-only", "install"}, packages...)
		if _, err := apt(tmp, args...); err != nil {
			return "", errors.Join(err, unlisted)
		}
		from = append(from, filepath.Join(tmp, "cache/archives"))
	}
	root := filepath.Join(tmp, "root")
	if err := extract(ctx, run, root, from...); err != nil {
		return "", err
	}
	if kernel {
		if err := index(ctx, run, root); err != nil {
			return "", err
		}
	}
	if err := os.Chmod(root, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(root, dir); err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENOTEMPTY) {
		return "", err
	}
	return dir, nil // ours, or that of another process that was faster
}

// downloadKernel gets the newest kernel that the meta package depends on,
// without its dependencies, which are programs to install it.
func downloadKernel(apt func(dir string, args ...string) ([]byte, error), tmp, debs, meta string) error {
	out, err := apt(tmp, "apt-cache", "depends", "--important", meta)
	if err != nil {
		return err
	}
	kernel := kernelPackages(string(out))
	if len(kernel) == 0 {
		return fmt.Errorf("the package lists name no kernel for %s", meta)
	}
	_, err = apt(debs, append([]string{"apt-get", "-q", "download"}, kernel...)...)
	return err
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
Acquire::Retries "5";
Dir::State %q;
Dir::State::status %q;
Dir::Cache %q;
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts %q;
`, arch, arch, filepath.Join(dir, "state"), status, filepath.Join(dir, "cache"), filepath.Join(dir, "sources"))
	conf := filepath.Join(dir, "apt.conf")
	return conf, os.WriteFile(conf, []byte(text), 0o644)
}
