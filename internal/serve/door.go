package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"bareroot/api"
	"bareroot/internal/serve/netboot"
)

// DoorAgent is the door of errors in the agent protocol.
const DoorAgent = "agent"

// DoorAdmin is the operator's door.
const DoorAdmin = "admin"

// stall is how long a client may take for one piece of a reply, and piece how
// large a piece is: a client slower than about 140 KiB/s for a minute is cut
// off, a whole download may take as long as it takes.
const (
	stall = time.Minute
	piece = 8 << 20
)

// provisioning is the handler of the provisioning door. ctx ends the agents'
// long polls, so that they do not hold up a stop; nothing else.
func (s *server) provisioning(ctx context.Context, boot, agent http.Handler) http.Handler {
	counted := s.counted(agent)
	mux := http.NewServeMux()
	mux.Handle("/boot/", boot)
	mux.Handle("/images/", counted)
	mux.Handle("/agent/", counted)
	mux.HandleFunc("/agent/v1/next", func(w http.ResponseWriter, r *http.Request) {
		rctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		counted.ServeHTTP(w, r.WithContext(rctx))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.tally.Add(netboot.DoorHTTP)
		netboot.WriteProblem(w, &api.Problem{Title: "not found", Status: http.StatusNotFound})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*slowConn); ok {
			c.handled.Store(true)
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if p := r.URL.Path; path.Clean(p) != p && p != "/" || p[0] != '/' {
			// Nothing of ours has such a path; the mux would redirect.
			s.tally.Add(netboot.DoorHTTP)
			netboot.WriteProblem(w, &api.Problem{Title: "bad request", Status: http.StatusBadRequest, Detail: "that path is not a plain one"})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// counted counts refused agent requests.
func (s *server) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sw := &statusWriter{ResponseWriter: w}
		h.ServeHTTP(sw, r)
		if sw.status >= 400 {
			s.tally.Add(DoorAgent)
		}
	})
}

// statusWriter remembers the status and keeps sendfile possible.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
func (w *statusWriter) ReadFrom(r io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, r) }
func (w *statusWriter) Unwrap() http.ResponseWriter         { return w.ResponseWriter }

type connKey struct{}

// serveProvisioning answers on l until ctx ends.
func (s *server) serveProvisioning(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       2 * time.Minute, // of a whole request: facts, logs
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ConnState:         s.connState,
		ErrorLog:          slog.NewLogLogger(s.log.With("part", "http").Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() {
		ended <- srv.Serve(&slowListener{Listener: l, refused: s.refusedConn, open: map[netip.Addr]int{}})
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := srv.Shutdown(rest); err != nil {
		s.log.Warn("downloads cut off at the stop", "listener", l.Addr().String(), "after", grace)
		_ = srv.Close() // the listener is closed already
	}
	<-ended
	return nil
}

// connState counts connections that sent bytes which never became a request:
// garbage, which the HTTP library answers by itself.
func (s *server) connState(c net.Conn, state http.ConnState) {
	sc, ok := c.(*slowConn)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		sc.handled.Store(false)
		sc.active.Store(true)
	case http.StateIdle:
		sc.active.Store(false)
	case http.StateClosed:
		if sc.active.Load() && !sc.handled.Load() {
			s.tally.Add(netboot.DoorHTTP)
			s.log.Debug("connection without a request", "remote", c.RemoteAddr().String())
		}
	}
}

// refusedConn hears of a connection that was closed at once.
func (s *server) refusedConn(from netip.Addr) {
	s.tally.Add(netboot.DoorHTTP)
	s.log.Debug("too many connections of one address", "remote", from.String())
}

// maxConns is how many connections one address may have open: a machine needs
// a handful, a router that hides a rack behind its address a few hundred.
const maxConns = 512

// slowListener makes connections that give up on clients which do not read,
// and refuses those of an address that has too many.
type slowListener struct {
	net.Listener
	refused func(netip.Addr)

	mu   sync.Mutex
	open map[netip.Addr]int
}

func (l *slowListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := peer(c)
		if l.take(from) {
			return &slowConn{Conn: c, gone: sync.OnceFunc(func() { l.give(from) })}, nil
		}
		_ = c.Close()
		l.refused(from)
	}
}

// peer is who connects; the zero address for a socket that is not TCP.
func peer(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

func (l *slowListener) take(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[a] >= maxConns {
		return false
	}
	l.open[a]++
	return true
}

func (l *slowListener) give(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[a]--; l.open[a] == 0 {
		delete(l.open, a)
	}
}

type slowConn struct {
	net.Conn
	gone            func()
	active, handled atomic.Bool
}

func (c *slowConn) Close() error {
	c.gone()
	return c.Conn.Close()
}

func (c *slowConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// ReadFrom sends files piece by piece, each with its own deadline, by
// sendfile: the kernel's fast path wants exactly one LimitedReader around
// the file.
func (c *slowConn) ReadFrom(r io.Reader) (total int64, err error) {
	rf, ok := c.Conn.(io.ReaderFrom)
	if !ok {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	lr, limited := r.(*io.LimitedReader)
	if !limited {
		lr = &io.LimitedReader{R: r, N: 1<<63 - 1}
	}
	for lr.N > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(stall)); err != nil {
			return total, err
		}
		want := min(lr.N, piece)
		n, err := rf.ReadFrom(&io.LimitedReader{R: lr.R, N: want})
		total += n
		lr.N -= n
		if err != nil {
			return total, err
		}
		if n < want {
			return total, nil // the source has ended
		}
	}
	return total, nil
}

// closers are listeners that must not leak when a later step fails.
type closers struct {
	mu sync.Mutex
	cs []io.Closer
}

func (o *closers) add(c io.Closer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cs = append(o.cs, c)
}

func (o *closers) addAll(ls []net.Listener) {
	for _, l := range ls {
		o.add(l)
	}
}

func (o *closers) closeAll() {
	for _, c := range o.cs {
		_ = c.Close() // most are closed already, by who served them
	}
}
