package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"bareroot/internal/serve/config"
)

// Listeners are sockets that were opened by somebody else: a service manager,
// or a parent in another network namespace.
type Listeners struct {
	HTTP  []net.Listener // provisioning door
	Admin []net.Listener
}

// firstFD is where passed sockets begin (sd_listen_fds(3)).
const firstFD = 3

// Activation takes the listeners that the environment names: LISTEN_FDS of
// them, named by LISTEN_FDNAMES "admin" or "http". LISTEN_PID, if set and not
// 0, must be this process. It takes the variables out of the environment, so
// that no child takes the sockets for its own.
func Activation() (Listeners, error) {
	out, err := activation(os.Getenv, os.Getpid())
	for _, v := range []string{"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"} {
		err = errors.Join(err, os.Unsetenv(v))
	}
	return out, err
}

func activation(env func(string) string, pid int) (Listeners, error) {
	var out Listeners
	if p := env("LISTEN_PID"); p != "" && p != "0" && p != strconv.Itoa(pid) {
		return out, nil
	}
	if env("LISTEN_FDS") == "" {
		return out, nil
	}
	n, err := strconv.Atoi(env("LISTEN_FDS"))
	if err != nil || n < 0 || n > 64 {
		return out, fmt.Errorf("take passed sockets: LISTEN_FDS=%q is no small number", env("LISTEN_FDS"))
	}
	names := strings.Split(env("LISTEN_FDNAMES"), ":")
	for i := range n {
		name := "admin"
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		fd := firstFD + i
		syscall.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), name)
		l, err := net.FileListener(f)
		_ = f.Close() // FileListener has its own copy
		if err != nil {
			return out, fmt.Errorf("take passed socket %d (%s): %w", fd, name, err)
		}
		switch name {
		case "admin":
			out.Admin = append(out.Admin, l)
		case "http":
			out.HTTP = append(out.HTTP, l)
		default:
			_ = l.Close()
			return out, fmt.Errorf("take passed socket %d: the name %q is not known; LISTEN_FDNAMES takes admin and http", fd, name)
		}
	}
	return out, nil
}

// adminListeners opens the operator's door: the passed sockets, and of unix
// socket and TCP whatever was not passed.
func (s *server) adminListeners(ctx context.Context, given []net.Listener, open *closers) ([]net.Listener, error) {
	out := given
	have := map[string]bool{}
	for _, l := range given {
		have[l.Addr().Network()] = true
	}
	if !have["unix"] && s.cfg.Admin.Socket != config.None {
		l, err := unixListener(s.cfg.Admin.Socket)
		if err != nil {
			return nil, err
		}
		open.add(l)
		out = append(out, l)
	}
	if !have["tcp"] && s.cfg.Admin.Listen != config.None {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", s.cfg.Admin.Listen)
		if err != nil {
			hint := ""
			if errors.Is(err, syscall.EADDRINUSE) {
				hint = "; another program has the port: set admin.listen"
			}
			return nil, fmt.Errorf("listen for the operator on %s: %w%s", s.cfg.Admin.Listen, err, hint)
		}
		open.add(l)
		out = append(out, l)
	}
	return out, nil
}

// unixListener listens on path, mode 0600 from the first moment that path
// exists. A socket left by a killed server is replaced: the lock on the state
// directory says that no other server lives.
func unixListener(path string) (net.Listener, error) {
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	_ = os.Remove(tmp) // left by a killed process with our id
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for the operator on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(tmp, 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = l.Close()
		_ = os.Remove(tmp)
		return nil, fmt.Errorf("listen for the operator on %s: %w", path, err)
	}
	return &unixSocket{UnixListener: l, path: path}, nil
}

// unixSocket goes by the name that the socket was given last.
type unixSocket struct {
	*net.UnixListener
	path string
}

func (u *unixSocket) Addr() net.Addr { return &net.UnixAddr{Name: u.path, Net: "unix"} }

// notifyReady tells a service manager that the server serves (sd_notify(3)).
// Without one, or if it does not listen, there is nobody to tell.
func notifyReady() {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if c, err := net.Dial("unixgram", path); err == nil {
		_, _ = c.Write([]byte("READY=1"))
		_ = c.Close()
	}
}
