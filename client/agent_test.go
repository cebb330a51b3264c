package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"bareroot/api"
)

func TestAgentErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		kind   string
		body   string
		want   *api.Problem // nil: an error of another kind
	}{
		"problem":      {409, "application/problem+json", `{"title":"conflict","status":409,"detail":"the nonce was used"}`, &api.Problem{Title: "conflict", Status: 409, Detail: "the nonce was used"}},
		"not ours":     {502, "text/html", "<html>", &api.Problem{Title: "the server answered 502 Bad Gateway", Status: 502}},
		"bad problem":  {401, "application/problem+json", "{", &api.Problem{Title: "the server answered 401 Unauthorized", Status: 401}},
		"no order":     {200, "application/json", "{}", nil},
		"no JSON":      {200, "text/html", "<html>log in</html>", nil},
		"endless text": {200, "text/plain", string(make([]byte, agentReply+1)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", tc.kind)
				w.WriteHeader(tc.status)
				w.Write([]byte(tc.body))
			}))
			defer srv.Close()
			_, err := (&Agent{Base: srv.URL + "/", Token: "t"}).Next(context.Background(), time.Second)
			var p *api.Problem
			if err == nil || errors.As(err, &p) != (tc.want != nil) {
				t.Fatalf("error %v", err)
			}
			if tc.want != nil && *p != *tc.want {
				t.Errorf("problem %+v, want %+v", p, tc.want)
			}
		})
	}
}

func TestAgentNothingToDo(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t" || r.URL.Query().Get("wait") != "25" {
			t.Errorf("request %s, %v", r.URL, r.Header)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer srv.Close()
	if o, err := (&Agent{Base: srv.URL, Token: "t"}).Next(context.Background(), 25*time.Second); o != nil || err != nil {
		t.Errorf("order %v, error %v", o, err)
	}
}
