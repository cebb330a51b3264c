package admin

import (
	"net"
	"net/http"
	"sync"
)

// connKey finds the connection of a request.
type connKey struct{}

// conn is what became of the bytes of a connection.
type conn struct{ active, handled bool }

// conns notices connections whose bytes never became a request: garbage,
// which the HTTP library answers by itself.
type conns struct {
	refused func()

	mu   sync.Mutex
	open map[net.Conn]*conn
}

func (s *conns) add(c net.Conn) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &conn{}
	s.open[c] = k
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		k.handled = true
	}
}

func (s *conns) change(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.open[c]
	if k == nil {
		return // StateNew comes before add
	}
	switch state {
	case http.StateActive:
		k.active, k.handled = true, false
	case http.StateIdle:
		k.active = false
	case http.StateClosed, http.StateHijacked:
		delete(s.open, c)
		if k.active && !k.handled {
			s.refused()
		}
	}
}

// known tells the connection that a request was read from it.
func known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handled, ok := r.Context().Value(connKey{}).(func()); ok {
			handled()
		}
		next.ServeHTTP(w, r)
	})
}
