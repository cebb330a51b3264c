package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"bareroot/api"
)

// writeLimit bounds one write to a stream: a reader that stands still is cut
// off and will come back.
const writeLimit = 10 * time.Second

// text is a reply that is not JSON.
func text(op huma.Operation, contentType, description string, schema *huma.Schema) huma.Operation {
	op.Responses["200"] = &huma.Response{
		Description: description,
		Content:     map[string]*huma.MediaType{contentType: {Schema: schema}},
	}
	return op
}

// logEndpoint sends a boot's console log.
func (a *Admin) logEndpoint(h huma.API) {
	type which struct {
		Ref  string `path:"ref" doc:"The machine's id, name, UUID or a MAC address" example:"node1" maxLength:"255"`
		Boot string `query:"boot" doc:"Boot id; default the newest boot" maxLength:"64"`
	}
	op := text(a.op(h, "show-log", "GET /machines/{ref}/logs", "machines", "Read a boot's log",
		"The console log that the ramdisk sent."), "text/plain", "The log", &huma.Schema{Type: huma.TypeString})
	huma.Register(h, op, func(ctx context.Context, in *which) (*huma.StreamResponse, error) {
		rc, err := a.cfg.Inventory.Logs(ctx, in.Ref, in.Boot)
		if err != nil {
			return nil, a.fail(ctx, op, err)
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			defer rc.Close()
			// Whatever a machine wrote, it is text: no sniffing, no markup.
			ctx.SetHeader("Content-Type", "text/plain; charset=utf-8")
			if _, err := io.Copy(ctx.BodyWriter(), rc); err != nil && ctx.Context().Err() == nil {
				a.cfg.Log.Warn("log not sent to its end", "machine", in.Ref, "err", err)
			}
		}}, nil
	})
}

// eventEndpoint streams changes.
func (a *Admin) eventEndpoint(h huma.API) {
	change := h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Change](), true, "Change")
	op := text(a.op(h, "events", "GET /events", "server", "Listen to changes",
		"Server-sent events without a name; data is a Change, which tells what to read again. Changes may be merged or lost by a slow reader, so read all once after connecting. Comments keep the connection alive."),
		"text/event-stream", "Changes until the connection ends", change)
	huma.Register(h, op, func(context.Context, *nothing) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			r, w := humago.Unwrap(ctx)
			a.stream(r, w)
		}}, nil
	})
}

// stream sends changes until the caller, the inventory or the server ends.
func (a *Admin) stream(r *http.Request, w http.ResponseWriter) {
	changes, stop := a.cfg.Inventory.Subscribe()
	defer stop()
	var ending <-chan struct{}
	if c, ok := r.Context().Value(streamsKey{}).(context.Context); ok {
		ending = c.Done()
	}
	ctl := http.NewResponseController(w)
	send := func(format string, args ...any) bool {
		// Not every writer has deadlines; those of net/http do.
		_ = ctl.SetWriteDeadline(time.Now().Add(writeLimit))
		_, err := fmt.Fprintf(w, format, args...)
		return err == nil && ctl.Flush() == nil
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	if !send("retry: 2000\n: bareroot\n\n") {
		return
	}
	beat := time.NewTicker(a.cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-ending:
			return
		case <-beat.C:
			if !send(": alive\n\n") {
				return
			}
		case c, open := <-changes:
			if !open || !sendChange(send, c) {
				return
			}
		}
	}
}

// sendChange sends one event; JSON has no line ends of its own.
func sendChange(send func(string, ...any) bool, c api.Change) bool {
	b, err := json.Marshal(c)
	return err == nil && send("data: %s\n\n", b)
}
