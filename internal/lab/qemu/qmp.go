package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Event is something QEMU reports by itself.
type Event struct {
	Name string `json:"event"`
	Data struct {
		Guest  bool   `json:"guest"`
		Reason string `json:"reason"`
	} `json:"data"`
}

// monitor is a QMP connection (the QEMU Machine Protocol, qmp-spec).
type monitor struct {
	conn  io.ReadWriteCloser
	event func(Event)

	call    sync.Mutex // one command at a time
	replies chan reply
	done    chan struct{} // closed when the reader has ended
}

type reply struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

var errGone = errors.New("QEMU has ended")

// newMonitor waits for the greeting and leaves negotiation mode. event is
// called from the reading goroutine; it must not call back.
func newMonitor(ctx context.Context, conn io.ReadWriteCloser, event func(Event)) (*monitor, error) {
	m := &monitor{conn: conn, event: event, replies: make(chan reply, 1), done: make(chan struct{})}
	greeting := make(chan struct{})
	go m.read(greeting)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	select {
	case <-greeting:
	case <-m.done:
		return nil, errGone
	case <-ctx.Done():
		conn.Close()
		<-m.done
		return nil, fmt.Errorf("wait for QEMU's greeting: %w", ctx.Err())
	}
	if err := m.do(ctx, "qmp_capabilities", nil, nil); err != nil {
		conn.Close()
		<-m.done
		return nil, err
	}
	return m, nil
}

func (m *monitor) read(greeting chan<- struct{}) {
	defer close(m.done)
	dec := json.NewDecoder(m.conn)
	for {
		var msg struct {
			QMP json.RawMessage
			Event
			reply
		}
		if err := dec.Decode(&msg); err != nil {
			return
		}
		switch {
		case msg.QMP != nil && greeting != nil:
			close(greeting)
			greeting = nil
		case msg.Name != "":
			m.event(msg.Event)
		case msg.Return != nil || msg.Error != nil:
			select {
			case m.replies <- msg.reply:
			default: // nobody asked
			}
		}
	}
}

// do runs one command; the answer goes into out if that is not nil.
func (m *monitor) do(ctx context.Context, command string, arguments, out any) error {
	m.call.Lock()
	defer m.call.Unlock()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	select {
	case <-m.replies: // of a command that was given up
	default:
	}
	req := map[string]any{"execute": command}
	if arguments != nil {
		req["arguments"] = arguments
	}
	b, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("qmp %s: %w", command, err)
	}
	if _, err := m.conn.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("qmp %s: %w", command, errGone)
	}
	select {
	case r := <-m.replies:
		if r.Error != nil {
			return fmt.Errorf("qmp %s: %s (%s)", command, r.Error.Desc, r.Error.Class)
		}
		if out != nil {
			return json.Unmarshal(r.Return, out)
		}
		return nil
	case <-m.done:
		return fmt.Errorf("qmp %s: %w", command, errGone)
	case <-ctx.Done():
		return fmt.Errorf("qmp %s: %w", command, ctx.Err())
	}
}
