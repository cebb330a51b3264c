package cmdline

import (
	"fmt"
	"strings"
)

// NFS is nfs:[SERVER:]PATH[:OPTIONS]. The server keeps an address's brackets;
// an empty one, or an empty path, comes from DHCP.
type NFS struct {
	V4            bool
	Server, Path  string
	Port, Options string
}

// ParseNFS reads root=nfs: and root=nfs4:, with the scheme. The options may
// also follow a comma.
func ParseNFS(v string) (NFS, error) {
	scheme, rest, _ := strings.Cut(v, ":")
	n := NFS{V4: scheme == "nfs4"}
	if scheme != "nfs" && scheme != "nfs4" {
		return NFS{}, fmt.Errorf("%s: the form is nfs:[SERVER:]PATH[:OPTIONS]", v)
	}
	return n.read(v, rest)
}

// ParseNFSRoot reads nfsroot=[SERVER:]DIR[,OPTIONS]; "auto" is all empty.
func ParseNFSRoot(v string) (NFS, error) {
	if v == "auto" {
		return NFS{}, nil
	}
	n, err := NFS{}.read("nfsroot="+v, v)
	return n, err
}

func (n NFS) read(v, rest string) (NFS, error) {
	if rest == "" {
		return n, nil
	}
	if !strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, ",") {
		var ok bool
		if n.Server, rest, ok = cutHost(rest); !ok && n.Server != "" {
			return NFS{}, fmt.Errorf("%s: a path must follow the server, as in nfs:%s:/srv/root", v, n.Server)
		}
	}
	end := strings.IndexAny(rest, ":,")
	if end < 0 {
		n.Path = rest
	} else {
		n.Path, n.Options = rest[:end], rest[end+1:]
	}
	if n.Path != "" && !strings.HasPrefix(n.Path, "/") {
		return NFS{}, fmt.Errorf("%s: the path %q must begin with /", v, n.Path)
	}
	return n, nil
}

// ParseNFSFile reads where a file is: nfs://SERVER[:PORT]/PATH,
// nfs:SERVER:/PATH[:OPTIONS], or nfs:OPTIONS:SERVER:/PATH as anaconda has it.
func ParseNFSFile(v string) (NFS, error) {
	scheme, rest, _ := strings.Cut(v, ":")
	n := NFS{V4: scheme == "nfs4"}
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		slash := strings.IndexByte(after, '/')
		if slash <= 0 || slash+1 == len(after) {
			return NFS{}, fmt.Errorf("%s: the form is nfs://SERVER[:PORT]/PATH", v)
		}
		n.Server, n.Port, _ = cutHost(after[:slash])
		n.Path = after[slash:]
		if n.Port != "" && !port(n.Port) {
			return NFS{}, fmt.Errorf("%s: port %q is no number from 1 to 65535", v, n.Port)
		}
		return n, nil
	}
	if first, after, ok := cutHost(rest); ok && !strings.HasPrefix(after, "/") && strings.Contains(after, ":/") {
		n.Options, rest = first, after
	}
	opts := n.Options
	n, err := n.read(v, rest)
	if opts != "" {
		n.Options = opts
	}
	if err == nil && (n.Path == "" || n.Path == "/") {
		err = fmt.Errorf("%s: names no file", v)
	}
	return n, err
}

func (n NFS) String() string {
	s := "nfs:"
	if n.V4 {
		s = "nfs4:"
	}
	if n.Port != "" {
		return s + "//" + n.Server + ":" + n.Port + n.Path
	}
	if n.Server != "" {
		s += n.Server + ":"
	}
	s += n.Path
	if n.Options != "" {
		s += ":" + n.Options
	}
	return s
}
