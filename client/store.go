package client

import (
	"context"
	"net/http"
	"net/url"

	"bareroot/api"
)

// Images lists the registered system images.
func (c *Client) Images(ctx context.Context) ([]api.Image, error) {
	var out struct {
		Images []api.Image `json:"images"`
	}
	err := c.call(ctx, shortTimeout, "list images", http.MethodGet, "/api/v1/images", nil, &out)
	return out.Images, err
}

// AddImage registers a file of the server's machine. The server reads it whole.
func (c *Client) AddImage(ctx context.Context, req api.ImageRequest) (*api.Image, error) {
	var out api.Image
	if err := c.call(ctx, hashTimeout, "add image "+req.Name, http.MethodPost, "/api/v1/images", req, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// VerifyImage has the server hash the stored image again.
func (c *Client) VerifyImage(ctx context.Context, name string) (*api.Image, error) {
	var out api.Image
	path := "/api/v1/images/" + url.PathEscape(name) + "/verify"
	if err := c.call(ctx, hashTimeout, "verify image "+name, http.MethodPost, path, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// RemoveImage removes a registered image.
func (c *Client) RemoveImage(ctx context.Context, name string) error {
	return c.call(ctx, shortTimeout, "remove image "+name, http.MethodDelete, "/api/v1/images/"+url.PathEscape(name), nil, nil)
}

// BootSets lists the registered boot sets.
func (c *Client) BootSets(ctx context.Context) ([]api.BootSet, error) {
	var out struct {
		BootSets []api.BootSet `json:"bootsets"`
	}
	err := c.call(ctx, shortTimeout, "list boot sets", http.MethodGet, "/api/v1/bootsets", nil, &out)
	return out.BootSets, err
}

// BootSetFiles lists the files of a boot set's ramdisk that fits means (a path,
// the end of one, a kernel module's name, a pattern), all if it is empty.
func (c *Client) BootSetFiles(ctx context.Context, name, fits string) ([]api.BootFile, error) {
	var out struct {
		Files []api.BootFile `json:"files"`
	}
	path := "/api/v1/bootsets/" + url.PathEscape(name) + "/files"
	if fits != "" {
		path += "?fits=" + url.QueryEscape(fits)
	}
	err := c.call(ctx, shortTimeout, "list the files of boot set "+name, http.MethodGet, path, nil, &out)
	return out.Files, err
}

// AddBootSet registers a boot set in a directory of the server's machine. The
// server verifies it.
func (c *Client) AddBootSet(ctx context.Context, req api.BootSetRequest) (*api.BootSet, error) {
	var out api.BootSet
	if err := c.call(ctx, hashTimeout, "add boot set "+req.Name, http.MethodPost, "/api/v1/bootsets", req, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// DefaultBootSet makes a boot set the one that machines get without a pin.
func (c *Client) DefaultBootSet(ctx context.Context, name string) (*api.BootSet, error) {
	var out api.BootSet
	path := "/api/v1/bootsets/" + url.PathEscape(name) + "/default"
	if err := c.call(ctx, shortTimeout, "make boot set "+name+" the default", http.MethodPost, path, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// RemoveBootSet removes a registered boot set.
func (c *Client) RemoveBootSet(ctx context.Context, name string) error {
	return c.call(ctx, shortTimeout, "remove boot set "+name, http.MethodDelete, "/api/v1/bootsets/"+url.PathEscape(name), nil, nil)
}

// Status asks the server about itself.
func (c *Client) Status(ctx context.Context) (*api.Status, error) {
	var out api.Status
	if err := c.call(ctx, shortTimeout, "ask for the server's status", http.MethodGet, "/api/v1/status", nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// LoginCode asks for a link that opens the page in a browser, once.
func (c *Client) LoginCode(ctx context.Context) (*api.LoginCode, error) {
	var out api.LoginCode
	if err := c.call(ctx, shortTimeout, "ask for a login link", http.MethodPost, "/api/v1/login-codes", nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}
