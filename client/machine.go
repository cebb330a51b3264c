package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"bareroot/api"
)

// Machines lists all machines, without facts and timelines.
func (c *Client) Machines(ctx context.Context) ([]api.Machine, error) {
	var out struct {
		Machines []api.Machine `json:"machines"`
	}
	err := c.call(ctx, shortTimeout, "list machines", http.MethodGet, "/api/v1/machines", nil, &out)
	return out.Machines, err
}

// Machine returns a machine in detail. ref is its id, name, UUID or MAC.
func (c *Client) Machine(ctx context.Context, ref string) (*api.Machine, error) {
	var out api.Machine
	if err := c.call(ctx, shortTimeout, "show machine "+ref, http.MethodGet, machinePath(ref, ""), nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Forget removes a machine and its history.
func (c *Client) Forget(ctx context.Context, ref string) error {
	return c.call(ctx, shortTimeout, "forget machine "+ref, http.MethodDelete, machinePath(ref, ""), nil, nil)
}

// Approve changes a machine's approval or name.
func (c *Client) Approve(ctx context.Context, ref string, req api.ApproveRequest) (*api.Machine, error) {
	var out api.Machine
	if err := c.call(ctx, shortTimeout, "approve machine "+ref, http.MethodPost, machinePath(ref, "/approve"), req, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Power switches a machine, or asks for its state.
func (c *Client) Power(ctx context.Context, ref string, req api.PowerRequest) (*api.PowerReply, error) {
	var out api.PowerReply
	doing := fmt.Sprintf("power %s machine %s", req.Action, ref)
	if err := c.call(ctx, powerTimeout, doing, http.MethodPost, machinePath(ref, "/power"), req, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Logs returns the console log of the machine's boot bootID ("" = the newest)
// from offset on. The caller closes it.
func (c *Client) Logs(ctx context.Context, ref, bootID string, offset int64) (io.ReadCloser, error) {
	path := machinePath(ref, "/logs")
	if bootID != "" {
		path += "?boot=" + url.QueryEscape(bootID)
	}
	header := http.Header{"Accept": {"text/plain"}}
	resp, err := c.send(ctx, http.MethodGet, path, header, nil)
	if err != nil {
		return nil, fmt.Errorf("read the log of machine %s: %w", ref, err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, offset); err != nil && err != io.EOF {
		resp.Body.Close()
		return nil, fmt.Errorf("read the log of machine %s: %w", ref, cause(ctx, err))
	}
	return resp.Body, nil
}

func machinePath(ref, rest string) string {
	return "/api/v1/machines/" + url.PathEscape(ref) + rest
}

// PlaceOrder gives a machine an order.
func (c *Client) PlaceOrder(ctx context.Context, ref string, req api.OrderRequest) (*api.Order, error) {
	var out api.Order
	doing := fmt.Sprintf("order %s for machine %s", req.Kind, ref)
	if err := c.call(ctx, shortTimeout, doing, http.MethodPost, machinePath(ref, "/orders"), req, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Orders lists the orders of a machine, or of all if ref is "".
func (c *Client) Orders(ctx context.Context, ref string) ([]api.Order, error) {
	path := "/api/v1/orders"
	if ref != "" {
		path += "?machine=" + url.QueryEscape(ref)
	}
	var out struct {
		Orders []api.Order `json:"orders"`
	}
	err := c.call(ctx, shortTimeout, "list orders", http.MethodGet, path, nil, &out)
	return out.Orders, err
}

// Order returns an order with its plan and history.
func (c *Client) Order(ctx context.Context, id string) (*api.OrderDetail, error) {
	var out api.OrderDetail
	if err := c.call(ctx, shortTimeout, "show order "+id, http.MethodGet, orderPath(id, ""), nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Cancel stops an open order. A running one stops when its agent hears of it.
func (c *Client) Cancel(ctx context.Context, id string) (*api.Order, error) {
	var out api.Order
	if err := c.call(ctx, shortTimeout, "cancel order "+id, http.MethodPost, orderPath(id, "/cancel"), nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Retry makes a new attempt of a failed order.
func (c *Client) Retry(ctx context.Context, id string) (*api.Order, error) {
	var out api.Order
	if err := c.call(ctx, shortTimeout, "retry order "+id, http.MethodPost, orderPath(id, "/retry"), nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

func orderPath(id, rest string) string {
	return "/api/v1/orders/" + url.PathEscape(id) + rest
}
