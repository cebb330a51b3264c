package stream

import (
	"io"
	"sync"
)

// Ahead reads r in a goroutine of its own, up to depth buffers of size bytes
// ahead, so that the network and what follows overlap. Close stops the
// goroutine and waits for it; the caller must make a blocked r.Read return
// first (by cancelling its context).
type Ahead struct {
	full chan piece
	free chan []byte
	stop chan struct{}
	done chan struct{}
	once sync.Once
	cur  piece
}

type piece struct {
	buf []byte // whole buffer
	b   []byte // unread part
	err error
}

// NewAhead starts reading.
func NewAhead(r io.Reader, size, depth int) *Ahead {
	a := &Ahead{
		full: make(chan piece, depth), free: make(chan []byte, depth+1),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	for range depth + 1 {
		a.free <- make([]byte, size)
	}
	go a.run(r)
	return a
}

func (a *Ahead) run(r io.Reader) {
	defer close(a.done)
	defer close(a.full)
	for {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.stop:
			return
		}
		n, err := fill(r, buf)
		select {
		case a.full <- piece{buf: buf, b: buf[:n], err: err}:
		case <-a.stop:
			return
		}
		if err != nil {
			return
		}
	}
}

// fill reads until buf is full or r ends, with r's own error: io.ReadFull
// would make a short end and a broken source look the same.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// Read gives the bytes in order, then r's error.
func (a *Ahead) Read(p []byte) (int, error) {
	for len(a.cur.b) == 0 {
		if a.cur.err != nil {
			return 0, a.cur.err
		}
		if a.cur.buf != nil {
			a.free <- a.cur.buf // never blocks: free holds every buffer
		}
		next, ok := <-a.full
		if !ok {
			a.cur = piece{err: io.ErrClosedPipe}
			continue
		}
		a.cur = next
	}
	n := copy(p, a.cur.b)
	a.cur.b = a.cur.b[n:]
	return n, nil
}

// Close stops reading ahead.
func (a *Ahead) Close() error {
	a.once.Do(func() { close(a.stop) })
	<-a.done
	return nil
}
