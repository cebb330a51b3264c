package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// streamsKey finds the context that ends event streams in a request's.
type streamsKey struct{}

// Serve answers on l until ctx ends, then lets replies finish for a few
// seconds. A unix socket is trusted. A TCP listener gets TLS if the
// configuration has it, and is refused if it is not loopback and has none:
// also one that was passed in. The caller reports the error; nil means that
// ctx ended.
func (a *Admin) Serve(ctx context.Context, l net.Listener) error {
	trusted := l.Addr().Network() == "unix"
	if !trusted {
		if err := a.cfg.checkListen(l.Addr().String()); err != nil {
			return errors.Join(err, l.Close())
		}
		if a.cfg.TLSCert != "" {
			pair, err := tls.LoadX509KeyPair(a.cfg.TLSCert, a.cfg.TLSKey)
			if err != nil {
				return errors.Join(fmt.Errorf("admin door: TLS certificate: %w", err), l.Close())
			}
			l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
		}
	}
	seen := &conns{refused: a.cfg.Refused, open: map[net.Conn]*conn{}}
	srv := &http.Server{
		Handler:           a.Handler(trusted),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// Replies may finish after ctx ended; event streams must not, or they
		// would hold up the shutdown.
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), streamsKey{}, ctx)
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, seen.add(c))
		},
		ConnState: seen.change,
		ErrorLog:  slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("admin door on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		_ = srv.Close() // what did not finish in time is cut off
	}
	<-ended
	return nil
}
