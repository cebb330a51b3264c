package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"bareroot/api"
	"bareroot/internal/version"
)

// Inputs that several endpoints share.
type (
	machineRef struct {
		Ref string `path:"ref" doc:"The machine's id, name, UUID or a MAC address" example:"node1" maxLength:"255"`
	}
	machineBody[B any] struct { // not by embedding: huma passes over embedded types that are not exported
		Ref  string `path:"ref" doc:"The machine's id, name, UUID or a MAC address" example:"node1" maxLength:"255"`
		Body B
	}
	orderID struct {
		ID string `path:"id" doc:"The order's id" maxLength:"255"`
	}
	named struct {
		Name string `path:"name" doc:"The name it was registered under" maxLength:"255"`
	}
	nothing struct{}
)

// reply is a JSON reply.
type reply[T any] struct{ Body T }

// registerAPI adds /api/v1/ and the OpenAPI document.
func (a *Admin) registerAPI() {
	cfg := huma.DefaultConfig("bareroot admin API", version.Version)
	cfg.Info.Description = "Machines, orders, system images and boot sets of a bareroot server. Errors are application/problem+json; a hint, where there is one, is the last sentence of detail."
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "/api/openapi", "", ""
	cfg.CreateHooks = nil // no $schema fields: the wire types are package api's, as they are
	cfg.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	cfg.Transformers = []huma.Transformer{flatten}
	cfg.RejectUnknownQueryParameters = true
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "The content of the server's admin.token file. Not needed on the unix socket."},
		"browser": {Type: "apiKey", In: "cookie", Name: a.auth.cookie, Description: "Set by a login link from /api/v1/login-codes."},
	}
	cfg.Security = []map[string][]string{{"token": {}}, {"browser": {}}}
	cfg.Tags = []*huma.Tag{{Name: "server"}, {Name: "machines"}, {Name: "orders"}, {Name: "images"}, {Name: "boot sets"}}
	h := humago.New(a.mux, cfg)
	a.machineEndpoints(h)
	a.orderEndpoints(h)
	a.imageEndpoints(h)
	a.bootSetEndpoints(h)
	a.serverEndpoints(h)
	a.mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, http.StatusNotFound, fmt.Sprintf("there is no %s %s. The endpoints are listed in /api/openapi.json.", printable(r.Method), printable(r.URL.Path)))
	})
}

// op describes an endpoint: "GET /machines/{ref}".
func (a *Admin) op(h huma.API, id, where, tag, summary, description string) huma.Operation {
	method, path, _ := strings.Cut(where, " ")
	return huma.Operation{
		OperationID:  id,
		Method:       method,
		Path:         "/api/v1" + path,
		Tags:         []string{tag},
		Summary:      summary,
		Description:  description,
		MaxBodyBytes: 1 << 20,
		Responses: map[string]*huma.Response{"default": {
			Description: "What went wrong",
			Content: map[string]*huma.MediaType{"application/problem+json": {
				Schema: h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Problem](), true, "Problem"),
			}},
		}},
	}
}

// register adds an endpoint whose handler gives a value to send.
func register[I, T any](a *Admin, h huma.API, op huma.Operation, handle func(context.Context, *I) (T, error)) {
	huma.Register(h, op, func(ctx context.Context, in *I) (*reply[T], error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.fail(ctx, op, err)
		}
		return &reply[T]{out}, nil
	})
}

// remove adds an endpoint that replies 204.
func remove[I any](a *Admin, h huma.API, op huma.Operation, handle func(context.Context, *I) error) {
	op.DefaultStatus = http.StatusNoContent
	huma.Register(h, op, func(ctx context.Context, in *I) (*struct{}, error) {
		if err := handle(ctx, in); err != nil {
			return nil, a.fail(ctx, op, err)
		}
		return nil, nil
	})
}

// fail makes err a reply. What the inventory did not mean for callers is
// logged here, and told as it is: the operator is who reads it.
func (a *Admin) fail(ctx context.Context, op huma.Operation, err error) error {
	var p *api.Problem
	if errors.As(err, &p) {
		return &statusProblem{*p}
	}
	if ctx.Err() == nil {
		a.cfg.Log.Error("admin request failed", "op", op.OperationID, "err", err)
	}
	return &statusProblem{*problem(http.StatusInternalServerError, err.Error())}
}

// statusProblem is a problem as huma wants errors to be.
type statusProblem struct{ api.Problem }

func (p *statusProblem) Error() string             { return p.Problem.Error() }
func (p *statusProblem) GetStatus() int            { return p.Status }
func (p *statusProblem) ContentType(string) string { return "application/problem+json" }

// flatten puts the list of findings of huma's validation into detail, where
// the commands and the page show it.
func flatten(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	detail := m.Detail
	for i, e := range m.Errors {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		if e.Location != "" {
			detail += sep + e.Location + ": " + e.Message
		} else {
			detail += sep + e.Message
		}
	}
	return problem(m.Status, detail), nil
}

// marshal writes JSON as the API does.
func marshal(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// list keeps an empty list from being null.
func list[T any](l []T, err error) ([]T, error) {
	if l == nil {
		l = []T{}
	}
	return l, err
}
