package admin

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bareroot/api"
)

// readLimit bounds one read of an upload: a sender that stands still is cut
// off and can go on with the same file.
const readLimit = time.Minute

// Pusher is the part of the inventory that takes boot sets made elsewhere.
type Pusher interface {
	Push(ctx context.Context, name string, r api.PushRequest) (*api.PushReply, error)
	PutBlob(ctx context.Context, sha256 string, body io.Reader) error
	Generations(ctx context.Context, name string) ([]api.Generation, error)
	Rollback(ctx context.Context, name string, r api.RollbackRequest) (*api.BootSet, error)
}

// pushEndpoints take boot sets that are made on other machines.
func (a *Admin) pushEndpoints(h huma.API) {
	inv := a.cfg.Inventory
	type push struct {
		Name string `path:"name" doc:"The name it is registered under" maxLength:"255"`
		Body api.PushRequest
	}
	register(a, h, a.op(h, "push-bootset", "POST /bootsets/{name}/push", "boot sets", "Push a boot set",
		"Registers a boot set as the newest generation of its name, or names the files that the server lacks. Send those with PUT /blobs/{sha256}, then repeat this request. Machines that follow the name get the newest generation from their next netboot on."),
		func(ctx context.Context, in *push) (*api.PushReply, error) { return inv.Push(ctx, in.Name, in.Body) })

	op := a.op(h, "put-blob", "PUT /blobs/{sha256}", "boot sets", "Send a file of a boot set",
		"The bytes of a file that a reply to a push named. It is kept only if it has that size and hash; a day after the last push that asked for it, it is forgotten.")
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
	op.SkipValidateBody = true
	remove(a, h, op, func(ctx context.Context, in *blob) error {
		if in.body == nil {
			return errors.New("no body")
		}
		return inv.PutBlob(ctx, in.SHA256, in.body)
	})

	type generations struct {
		Generations []api.Generation `json:"generations"`
	}
	register(a, h, a.op(h, "list-generations", "GET /bootsets/{name}/generations", "boot sets", "List the generations of a boot set", "The newest first."),
		func(ctx context.Context, in *named) (generations, error) {
			l, err := list(inv.Generations(ctx, in.Name))
			return generations{l}, err
		})
	type rollback struct {
		Name string `path:"name" doc:"The name it was registered under" maxLength:"255"`
		Body api.RollbackRequest
	}
	register(a, h, a.op(h, "rollback-bootset", "POST /bootsets/{name}/rollback", "boot sets", "Go back to an older generation",
		"Machines that follow the name get it from their next netboot on. The newer generations are kept."),
		func(ctx context.Context, in *rollback) (*api.BootSet, error) {
			return inv.Rollback(ctx, in.Name, in.Body)
		})
}

// blob is an upload: its body is read as it comes, never held in memory.
type blob struct {
	SHA256 string `path:"sha256" doc:"The file's sha256" maxLength:"64"`
	body   io.Reader
}

// Resolve takes the body from the request before huma would.
func (b *blob) Resolve(ctx huma.Context) []error {
	b.body = &steady{ctx, ctx.BodyReader()}
	return nil
}

// steady reads as long as bytes keep coming.
type steady struct {
	ctx huma.Context
	r   io.Reader
}

func (s *steady) Read(p []byte) (int, error) {
	// A connection without deadlines (a test's recorder) is read as it is.
	_ = s.ctx.SetReadDeadline(time.Now().Add(readLimit))
	return s.r.Read(p)
}
