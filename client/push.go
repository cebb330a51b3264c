package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"bareroot/api"
)

// pushRounds bounds how often a push is asked again: a server that loses what
// it got (another push dropped it, a damaged file) may ask for it once more.
const pushRounds = 4

// Content gives the bytes of a file of the pushed boot set.
type Content func(api.Blob) (io.ReadCloser, error)

// Push registers a boot set of this machine as the newest generation of its
// name. Only files that the server lacks are sent, one by one, so that a
// broken push goes on where it stopped when it is started again. sent (may be
// nil) hears of every file that arrived.
func (c *Client) Push(ctx context.Context, name string, req api.PushRequest, content Content, sent func(api.Blob)) (*api.PushReply, error) {
	path := "/api/v1/bootsets/" + url.PathEscape(name) + "/push"
	for range pushRounds {
		var out api.PushReply
		if err := c.call(ctx, hashTimeout, "push boot set "+name, http.MethodPost, path, req, &out); err != nil {
			return nil, err
		}
		if len(out.Missing) == 0 {
			if out.BootSet == nil {
				return nil, fmt.Errorf("push boot set %s: the server neither registered it nor asked for files", name)
			}
			return &out, nil
		}
		for _, b := range out.Missing {
			if err := c.putBlob(ctx, b, content); err != nil {
				return nil, fmt.Errorf("push boot set %s: %w", name, err)
			}
			if sent != nil {
				sent(b)
			}
		}
	}
	return nil, fmt.Errorf("push boot set %s: the server asks for the same files again and again; is its disk damaged?", name)
}

func (c *Client) putBlob(ctx context.Context, b api.Blob, content Content) error {
	ctx, cancel := context.WithTimeoutCause(ctx, hashTimeout, fmt.Errorf("not sent within %s", hashTimeout))
	defer cancel()
	body, err := content(b)
	if err != nil {
		return err
	}
	defer body.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.base+"/api/v1/blobs/"+url.PathEscape(b.SHA256), io.NopCloser(body))
	if err != nil {
		return err
	}
	req.ContentLength = b.Size
	if b.Size == 0 {
		req.Body = http.NoBody
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.transportError(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		return nil
	}
	return c.refusal(resp)
}

// Generations lists what a boot set's name stood for, the newest first.
func (c *Client) Generations(ctx context.Context, name string) ([]api.Generation, error) {
	var out struct {
		Generations []api.Generation `json:"generations"`
	}
	err := c.call(ctx, shortTimeout, "list the generations of boot set "+name, http.MethodGet, "/api/v1/bootsets/"+url.PathEscape(name)+"/generations", nil, &out)
	return out.Generations, err
}

// Rollback makes an older generation of a boot set current; to 0 is the one
// before the current.
func (c *Client) Rollback(ctx context.Context, name string, to int) (*api.BootSet, error) {
	var out api.BootSet
	path := "/api/v1/bootsets/" + url.PathEscape(name) + "/rollback"
	if err := c.call(ctx, shortTimeout, "roll back boot set "+name, http.MethodPost, path, api.RollbackRequest{To: to}, &out); err != nil {
		return nil, err
	}
	return &out, nil
}
