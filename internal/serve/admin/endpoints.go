package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"bareroot/api"
)

// Lists are objects, so that they can grow fields.
type (
	machineList struct {
		Machines []api.Machine `json:"machines"`
	}
	orderList struct {
		Orders []api.Order `json:"orders"`
	}
	imageList struct {
		Images []api.Image `json:"images"`
	}
	bootSetList struct {
		BootSets []api.BootSet `json:"bootsets"`
	}
)

func (a *Admin) machineEndpoints(h huma.API) {
	inv := a.cfg.Inventory
	register(a, h, a.op(h, "list-machines", "GET /machines", "machines", "List machines",
		"All machines by name, without facts and timeline."),
		func(ctx context.Context, _ *nothing) (machineList, error) {
			l, err := list(inv.Machines(ctx))
			return machineList{l}, err
		})
	register(a, h, a.op(h, "show-machine", "GET /machines/{ref}", "machines", "Show a machine",
		"One machine with its facts and the timeline of its newest boots."),
		func(ctx context.Context, in *machineRef) (*api.Machine, error) { return inv.Machine(ctx, in.Ref) })
	remove(a, h, a.op(h, "forget-machine", "DELETE /machines/{ref}", "machines", "Forget a machine",
		"Removes the machine, its orders and its logs. If it netboots again it is new."),
		func(ctx context.Context, in *machineRef) error { return inv.Forget(ctx, in.Ref) })
	register(a, h, a.op(h, "approve-machine", "POST /machines/{ref}/approve", "machines", "Approve or rename a machine",
		"Sets the approval: new, held, approved or retired; approved if none is given and no name. Orders that change a machine need it approved."),
		func(ctx context.Context, in *machineBody[*api.ApproveRequest]) (*api.Machine, error) {
			if in.Body == nil {
				in.Body = &api.ApproveRequest{}
			}
			return inv.Approve(ctx, in.Ref, *in.Body)
		})
	register(a, h, a.op(h, "power-machine", "POST /machines/{ref}/power", "machines", "Switch a machine",
		"Action on, off, cycle or status, through the machine's management controller. boot, with on or cycle, is pxe or disk and holds for the next start only. Replies with the state reached."),
		func(ctx context.Context, in *machineBody[api.PowerRequest]) (api.PowerReply, error) {
			m, err := inv.Machine(ctx, in.Ref)
			if err != nil {
				return api.PowerReply{}, err
			}
			if a.cfg.Power == nil {
				return api.PowerReply{}, problem(http.StatusConflict, "this server has no power service. Name a Redfish service in its configuration.")
			}
			return a.cfg.Power.Do(ctx, m.UUID, in.Body)
		})
	a.logEndpoint(h)
}

func (a *Admin) orderEndpoints(h huma.API) {
	inv := a.cfg.Inventory
	register(a, h, a.op(h, "place-order", "POST /machines/{ref}/orders", "orders", "Order a machine",
		"Queues an order of kind discover, deploy, root, reboot or poweroff. The machine takes it when it asks next."),
		func(ctx context.Context, in *machineBody[api.OrderRequest]) (*api.Order, error) {
			return inv.PlaceOrder(ctx, in.Ref, in.Body)
		})
	type filter struct {
		Machine string `query:"machine" doc:"Only orders of this machine: its id, name, UUID or a MAC address" maxLength:"255"`
	}
	register(a, h, a.op(h, "list-orders", "GET /orders", "orders", "List orders", "Newest first."),
		func(ctx context.Context, in *filter) (orderList, error) {
			l, err := list(inv.Orders(ctx, in.Machine))
			return orderList{l}, err
		})
	register(a, h, a.op(h, "show-order", "GET /orders/{id}", "orders", "Show an order",
		"With its plan and the events of all attempts."),
		func(ctx context.Context, in *orderID) (*api.OrderDetail, error) { return inv.Order(ctx, in.ID) })
	register(a, h, a.op(h, "cancel-order", "POST /orders/{id}/cancel", "orders", "Cancel an order",
		"An order that runs is stopped when the machine next reports."),
		func(ctx context.Context, in *orderID) (*api.Order, error) { return inv.Cancel(ctx, in.ID) })
	register(a, h, a.op(h, "retry-order", "POST /orders/{id}/retry", "orders", "Retry an order",
		"A new attempt of an order that failed or was cancelled."),
		func(ctx context.Context, in *orderID) (*api.Order, error) { return inv.Retry(ctx, in.ID) })
}

func (a *Admin) imageEndpoints(h huma.API) {
	inv := a.cfg.Inventory
	register(a, h, a.op(h, "list-images", "GET /images", "images", "List system images", ""),
		func(ctx context.Context, _ *nothing) (imageList, error) {
			l, err := list(inv.Images(ctx))
			return imageList{l}, err
		})
	type add struct{ Body api.ImageRequest }
	register(a, h, a.op(h, "add-image", "POST /images", "images", "Add a system image",
		"Copies a file of the server's machine into the server's keeping. If sha256 is given, the file must have it."),
		func(ctx context.Context, in *add) (*api.Image, error) { return inv.AddImage(ctx, in.Body) })
	register(a, h, a.op(h, "verify-image", "POST /images/{name}/verify", "images", "Verify a system image",
		"Hashes the stored bytes again; a difference is in problem."),
		func(ctx context.Context, in *named) (*api.Image, error) { return inv.VerifyImage(ctx, in.Name) })
	remove(a, h, a.op(h, "remove-image", "DELETE /images/{name}", "images", "Remove a system image",
		"Refused while an open order names it."),
		func(ctx context.Context, in *named) error { return inv.RemoveImage(ctx, in.Name) })
}

func (a *Admin) bootSetEndpoints(h huma.API) {
	inv := a.cfg.Inventory
	register(a, h, a.op(h, "list-bootsets", "GET /bootsets", "boot sets", "List boot sets", ""),
		func(ctx context.Context, _ *nothing) (bootSetList, error) {
			l, err := list(inv.BootSets(ctx))
			return bootSetList{l}, err
		})
	type add struct{ Body api.BootSetRequest }
	register(a, h, a.op(h, "add-bootset", "POST /bootsets", "boot sets", "Add a boot set",
		"Verifies the boot set in a directory of the server's machine and copies it into the server's keeping. The first one becomes the default."),
		func(ctx context.Context, in *add) (*api.BootSet, error) { return inv.AddBootSet(ctx, in.Body) })
	register(a, h, a.op(h, "default-bootset", "POST /bootsets/{name}/default", "boot sets", "Make a boot set the default",
		"Machines that are not pinned to another get it from their next netboot on."),
		func(ctx context.Context, in *named) (*api.BootSet, error) { return inv.DefaultBootSet(ctx, in.Name) })
	type which struct {
		Name string `path:"name" doc:"The name it was registered under" maxLength:"255"`
		Fits string `query:"fits" doc:"Only files that this means: a path in the ramdisk, the end of one, a kernel module's name, or a pattern" maxLength:"4096"`
	}
	type files struct {
		Files []api.BootFile `json:"files"`
	}
	register(a, h, a.op(h, "list-bootset-files", "GET /bootsets/{name}/files", "boot sets", "List the files of a boot set's ramdisk",
		"With source, package and reason, as the builder wrote them down."),
		func(ctx context.Context, in *which) (files, error) {
			l, err := list(inv.BootSetFiles(ctx, in.Name, in.Fits))
			return files{l}, err
		})
	remove(a, h, a.op(h, "remove-bootset", "DELETE /bootsets/{name}", "boot sets", "Remove a boot set",
		"Refused for the default and while a machine is pinned to it."),
		func(ctx context.Context, in *named) error { return inv.RemoveBootSet(ctx, in.Name) })
	a.pushEndpoints(h)
}

func (a *Admin) serverEndpoints(h huma.API) {
	register(a, h, a.op(h, "status", "GET /status", "server", "Show the server's status",
		"Version, listeners, and counted errors by door."),
		func(context.Context, *nothing) (api.Status, error) { return a.cfg.Status(), nil })
	register(a, h, a.op(h, "login-code", "POST /login-codes", "server", "Make a login link",
		"A link that logs a browser in, once, within ten minutes."),
		func(context.Context, *nothing) (*api.LoginCode, error) { return a.loginCode() })
	a.eventEndpoint(h)
}
