package build

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"

	"bareroot/internal/build/feature"
	"bareroot/internal/cpio"
	"bareroot/internal/version"
)

// skeleton is what every ramdisk has besides programs. /usr is merged, as in
// today's distributions.
func skeleton() []item {
	const mount, early = "mount point", "output before devtmpfs is mounted"
	release := fmt.Sprintf("ID=bareroot\nNAME=bareroot\nPRETTY_NAME=\"bareroot ramdisk %s\"\nVERSION_ID=%s\n", version.Version, version.Version)
	return []item{
		dir(".", 0o755, "the kernel makes it writable for all"),
		dir("dev", 0o755, mount), dir("proc", 0o755, mount), dir("sys", 0o755, mount), dir("run", 0o755, mount),
		dir("tmp", folderMode("tmp"), mount), dir("sysroot", 0o755, mount), dir("mnt", 0o755, mount),
		dir("root", folderMode("root"), "home of root"), dir("var", 0o755, "folder"), link("var/run", "../run", "old name of /run"),
		dir("var/tmp", folderMode("var/tmp"), "folder"), dir("etc/cmdline.d", 0o755, "kernel words added by other segments"),
		link("bin", "usr/bin", "merged /usr"), link("sbin", "usr/sbin", "merged /usr"),
		link("lib", "usr/lib", "merged /usr"), link("lib64", "usr/lib64", "merged /usr"),
		dir("usr/bin", 0o755, "programs"), dir("usr/sbin", 0o755, "programs"), dir("usr/lib", 0o755, "data"), dir("usr/lib64", 0o755, "data"),
		char("dev/console", 0o600, 5, 1, early), char("dev/null", 0o666, 1, 3, early), char("dev/kmsg", 0o644, 1, 11, early),
		file("usr/lib/initrd-release", 0o644, release, "tells programs that this is a ramdisk"),
		link("etc/initrd-release", "../usr/lib/initrd-release", "tells programs that this is a ramdisk"),
		link("etc/os-release", "../usr/lib/initrd-release", "name of the system"),
		link("etc/mtab", "../proc/self/mounts", "mount table"),
		file("etc/passwd", 0o644, "root:*:0:0:root:/root:/bin/sh\nnobody:*:65534:65534:nobody:/:/usr/sbin/nologin\n", "user names"),
		file("etc/group", 0o644, "root:x:0:\ntty:x:5:\ndisk:x:6:\nnogroup:x:65534:\n", "group names"),
		file("etc/hosts", 0o644, "127.0.0.1 localhost\n::1 localhost\n", "localhost"),
		file("etc/shells", 0o644, "/bin/sh\n", "shells"),
	}
}

func (r *recipe) addUserland(o *Options) error {
	r.pid1 = []item{{Path: "init", Mode: cpio.TypeRegular | 0o755, Data: r.init.Data, Size: r.init.Size, From: o.Init, Why: "PID 1"}}
	items := append(r.skeleton,
		link("usr/sbin/init", "../../init", "PID 1"),
	)
	if r.has(func(f feature.Info) bool { return f.Busybox }) && o.Tools != "distro" {
		more, err := r.busybox(o)
		if err != nil {
			return err
		}
		items = append(items, more...)
	}
	certs, err := o.certificates()
	if err != nil {
		return err
	}
	r.userland = withParents(append(items, certs...))
	return nil
}

// busybox is the program and a link for each applet. A program that was
// installed wins over the applet of its name.
func (r *recipe) busybox(o *Options) ([]item, error) {
	name, err := o.findBusybox()
	if err != nil {
		return nil, err
	}
	bb, err := readProgram(name)
	switch {
	case err != nil:
		return nil, inputError{fmt.Errorf("read busybox: %w", err)}
	case bb.Arch != r.arch:
		return nil, inputError{fmt.Errorf("busybox %s is for %s, bareroot-init %s is for %s; give a busybox for %s with --busybox", name, bb.Arch, o.Init, r.arch, r.arch)}
	case !bb.Static:
		return nil, inputError{fmt.Errorf("busybox %s needs shared libraries, which a ramdisk does not have; install busybox-static or give a static one with --busybox", name)}
	}
	words := applets(bb.Data)
	if words == nil {
		return nil, inputError{fmt.Errorf("%s has no table of applets with a shell in it: is it busybox?", name)}
	}
	installed := map[string]bool{"modprobe": true, "depmod": true} // init's modprobe reads the modules' compression
	for _, it := range r.tools {
		if d := path.Dir(it.Path); d == "usr/bin" || d == "usr/sbin" {
			installed[path.Base(it.Path)] = true
		}
	}
	hidden := maps.Clone(installed)
	delete(hidden, "sh")
	hideApplets(bb.Data, hidden)
	items := []item{{Path: "usr/bin/busybox", Mode: cpio.TypeRegular | 0o755, Data: bb.Data, From: name, Why: "shell and tools for the operator"}}
	for _, a := range words {
		if !installed[a] {
			items = append(items, link("usr/bin/"+a, "busybox", "applet of busybox"))
		}
	}
	return items, nil
}

// certificates takes the certificate authorities that the sysroot trusts.
func (o *Options) certificates() ([]item, error) {
	for _, p := range []string{"etc/ssl/certs/ca-certificates.crt", "etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/ca-bundle.pem"} {
		name, err := within(o.Sysroot, p)
		if err != nil {
			return nil, inputError{fmt.Errorf("find certificate authorities: %w", err)}
		}
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, inputError{fmt.Errorf("read certificate authorities: %w", err)}
		}
		it := file("etc/ssl/certs/ca-certificates.crt", 0o644, string(b), "certificate authorities for HTTPS")
		it.From = name
		return []item{it}, nil
	}
	return nil, nil
}
