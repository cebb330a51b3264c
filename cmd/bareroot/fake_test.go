package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"bareroot/api"
)

// fakeServer answers the admin API from memory. It is as simple as the
// command line can bear: an order makes a step each time it is looked at.
type fakeServer struct {
	mu       sync.Mutex
	machines []*api.Machine
	orders   []*api.OrderDetail
	images   []api.Image
	bootsets []api.BootSet
	steps    map[string]int // how often an order was looked at
	looks    int            // how often a log was read
}

func serveFake(path string) (*httptest.Server, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	srv := httptest.NewUnstartedServer(newFakeServer(time.Now()).handler())
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	return srv, nil
}

func newFakeServer(now time.Time) *fakeServer {
	alpha := exampleMachine(now)
	return &fakeServer{
		steps: map[string]int{},
		machines: []*api.Machine{
			alpha,
			{ID: "m2", Name: "beta", MACs: []string{"52:54:00:00:00:02"}, Approval: api.ApprovalNew, Status: "new", Boot: api.BootDiscover, Seen: now.Add(-26 * time.Hour), BootID: "b-beta"},
		},
		images: []api.Image{
			{Name: "debian-12", SHA256: strings.Repeat("ab", 32), Size: 300 << 20, Format: "raw", Compression: "zstd", RawSize: 2 << 30, Added: now.Add(-time.Hour)},
			{Name: "rotten", SHA256: strings.Repeat("cd", 32), Size: 9 << 20, Format: "squashfs", Added: now.Add(-time.Hour)},
		},
		bootsets: []api.BootSet{
			{Name: "deb-6.1", ID: strings.Repeat("ef", 32), Kernel: "6.1.0-40-amd64", Arch: "amd64", Size: 60 << 20, Default: true, Added: now.Add(-2 * time.Hour)},
		},
	}
}

func (f *fakeServer) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h func(r *http.Request) (any, *api.Problem)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			doc, p := h(r)
			b, err := json.Marshal(doc)
			f.mu.Unlock()
			switch {
			case err != nil:
				panic(err)
			case p != nil:
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(p.Status)
				json.NewEncoder(w).Encode(p)
			case doc == nil:
				w.WriteHeader(http.StatusNoContent)
			default:
				w.Header().Set("Content-Type", "application/json")
				w.Write(b)
			}
		})
	}
	handle("GET /api/v1/status", func(*http.Request) (any, *api.Problem) {
		return api.Status{Version: "0.1.0", Started: time.Now().Add(-time.Hour), Machines: len(f.machines),
			Listeners: map[string]string{"http": "192.0.2.1:8080", "admin": "127.0.0.1:8081"}, Errors: map[string]int64{"dhcp": 0, "tftp": 3}}, nil
	})
	handle("POST /api/v1/login-codes", func(*http.Request) (any, *api.Problem) {
		return api.LoginCode{URL: "http://127.0.0.1:8081/login?code=c0de", Expires: time.Now().Add(time.Minute)}, nil
	})
	handle("GET /api/v1/machines", func(*http.Request) (any, *api.Problem) {
		out := []api.Machine{}
		for _, m := range f.machines {
			short := *m
			short.Facts, short.Timeline = nil, nil
			out = append(out, short)
		}
		return map[string]any{"machines": out}, nil
	})
	machine := func(pattern string, h func(r *http.Request, m *api.Machine) (any, *api.Problem)) {
		handle(pattern, func(r *http.Request) (any, *api.Problem) {
			for _, m := range f.machines {
				if ref := r.PathValue("ref"); ref == m.ID || ref == m.Name || slices.Contains(m.MACs, ref) {
					return h(r, m)
				}
			}
			return nil, notFound("machine", r.PathValue("ref"))
		})
	}
	machine("GET /api/v1/machines/{ref}", func(_ *http.Request, m *api.Machine) (any, *api.Problem) { return m, nil })
	machine("DELETE /api/v1/machines/{ref}", func(_ *http.Request, m *api.Machine) (any, *api.Problem) {
		f.machines = slices.DeleteFunc(f.machines, func(x *api.Machine) bool { return x == m })
		return nil, nil
	})
	machine("POST /api/v1/machines/{ref}/approve", func(r *http.Request, m *api.Machine) (any, *api.Problem) {
		req := body[api.ApproveRequest](r)
		m.Approval = req.Approval
		if req.Name != "" {
			m.Name = req.Name
		}
		return m, nil
	})
	machine("POST /api/v1/machines/{ref}/power", func(r *http.Request, m *api.Machine) (any, *api.Problem) {
		req := body[api.PowerRequest](r)
		if m.Power == "" {
			return nil, &api.Problem{Title: "Conflict", Status: 409, Detail: "machine " + m.Name + " has no power driver"}
		}
		if req.Action != "status" {
			m.Power = map[bool]string{true: "off", false: "on"}[req.Action == "off"]
		}
		return api.PowerReply{Power: m.Power}, nil
	})
	machine("POST /api/v1/machines/{ref}/orders", func(r *http.Request, m *api.Machine) (any, *api.Problem) {
		req := body[api.OrderRequest](r)
		if m.Approval != api.ApprovalApproved && req.Kind != api.KindDiscover {
			return nil, &api.Problem{Title: "Forbidden", Status: 403, Detail: "machine " + m.Name + " is not approved. Approve it with: bareroot machine approve " + m.Name}
		}
		return f.place(m, req)
	})
	handle("GET /api/v1/orders", func(r *http.Request) (any, *api.Problem) {
		out := []api.Order{}
		for _, o := range f.orders {
			out = append(out, o.Order)
		}
		return map[string]any{"orders": out}, nil
	})
	order := func(pattern string, h func(o *api.OrderDetail) (any, *api.Problem)) {
		handle(pattern, func(r *http.Request) (any, *api.Problem) {
			for _, o := range f.orders {
				if o.ID == r.PathValue("id") {
					return h(o)
				}
			}
			return nil, notFound("order", r.PathValue("id"))
		})
	}
	order("GET /api/v1/orders/{id}", func(o *api.OrderDetail) (any, *api.Problem) {
		f.step(o)
		return o, nil
	})
	order("POST /api/v1/orders/{id}/cancel", func(o *api.OrderDetail) (any, *api.Problem) {
		if final(o.State) {
			return nil, &api.Problem{Title: "Conflict", Status: 409, Detail: "order " + o.ID + " is " + o.State + " already"}
		}
		o.State = api.StateCancelled
		return o.Order, nil
	})
	order("POST /api/v1/orders/{id}/retry", func(o *api.OrderDetail) (any, *api.Problem) {
		f.steps[o.ID] = 0
		o.State, o.Message = api.StateQueued, ""
		o.Deploy.Image.SHA256 = f.images[0].SHA256 // this time the download is whole
		return o.Order, nil
	})
	handle("GET /api/v1/images", func(*http.Request) (any, *api.Problem) { return map[string]any{"images": f.images}, nil })
	handle("POST /api/v1/images", func(r *http.Request) (any, *api.Problem) {
		req := body[api.ImageRequest](r)
		if req.SHA256 != "" && req.SHA256 != strings.Repeat("12", 32) {
			return nil, &api.Problem{Title: "Unprocessable", Status: 422, Detail: fmt.Sprintf("%s has sha256 1212, not %s", req.Path, req.SHA256)}
		}
		f.images = append(f.images, api.Image{Name: req.Name, SHA256: strings.Repeat("12", 32), Size: 4096, Format: "raw", Added: time.Now()})
		return f.images[len(f.images)-1], nil
	})
	handle("POST /api/v1/images/{name}/verify", func(r *http.Request) (any, *api.Problem) {
		for _, i := range f.images {
			if i.Name == r.PathValue("name") {
				if i.Name == "rotten" {
					i.Problem = "the stored bytes have sha256 0000, registered was cdcd"
				}
				return i, nil
			}
		}
		return nil, notFound("image", r.PathValue("name"))
	})
	handle("DELETE /api/v1/images/{name}", func(r *http.Request) (any, *api.Problem) {
		n := len(f.images)
		f.images = slices.DeleteFunc(f.images, func(i api.Image) bool { return i.Name == r.PathValue("name") })
		if len(f.images) == n {
			return nil, notFound("image", r.PathValue("name"))
		}
		return nil, nil
	})
	handle("GET /api/v1/bootsets", func(*http.Request) (any, *api.Problem) { return map[string]any{"bootsets": f.bootsets}, nil })
	handle("POST /api/v1/bootsets", func(r *http.Request) (any, *api.Problem) {
		req := body[api.BootSetRequest](r)
		f.bootsets = append(f.bootsets, api.BootSet{Name: req.Name, ID: strings.Repeat("34", 32), Kernel: "6.12.9", Arch: "amd64", Size: 1 << 20, Default: req.Default, Added: time.Now()})
		return f.bootsets[len(f.bootsets)-1], nil
	})
	handle("POST /api/v1/bootsets/{name}/default", func(r *http.Request) (any, *api.Problem) {
		for i := range f.bootsets {
			if f.bootsets[i].Name == r.PathValue("name") {
				f.bootsets[i].Default = true
				return f.bootsets[i], nil
			}
		}
		return nil, notFound("boot set", r.PathValue("name"))
	})
	handle("GET /api/v1/bootsets/{name}/files", func(r *http.Request) (any, *api.Problem) {
		for _, b := range f.bootsets {
			if b.Name == r.PathValue("name") && r.URL.Query().Get("fits") == "init" {
				return map[string]any{"files": []api.BootFile{{Path: "init", Segment: "userland", Mode: "0755", Size: 1 << 20, Source: "bin/bareroot-init", Why: "PID 1"}}}, nil
			}
		}
		return nil, &api.Problem{Status: 404, Detail: "there is no such boot set"}
	})
	handle("DELETE /api/v1/bootsets/{name}", func(r *http.Request) (any, *api.Problem) {
		return nil, &api.Problem{Title: "Conflict", Status: 409, Detail: "boot set " + r.PathValue("name") + " is the default"}
	})
	mux.HandleFunc("GET /api/v1/machines/{ref}/logs", f.log)
	mux.HandleFunc("GET /api/v1/events", f.events)
	return mux
}

// place makes a queued order of a request.
func (f *fakeServer) place(m *api.Machine, req api.OrderRequest) (any, *api.Problem) {
	o := &api.OrderDetail{Order: api.Order{
		ID: fmt.Sprintf("o%d", len(f.orders)+1), Machine: m.ID, Kind: req.Kind, Root: req.Root,
		SpecHash: "00", State: api.StateQueued, Created: time.Now(), Updated: time.Now(),
	}, Events: []api.Event{}}
	if req.Image != "" {
		i := slices.IndexFunc(f.images, func(i api.Image) bool { return i.Name == req.Image })
		if i < 0 {
			return nil, notFound("image", req.Image)
		}
		src := api.Source{URL: "http://192.0.2.1:8080/images/x", SHA256: f.images[i].SHA256, Size: f.images[i].Size, Format: f.images[i].Format, Compression: f.images[i].Compression}
		if req.Kind == api.KindDeploy {
			o.Deploy = &api.DeploySpec{Image: src, Target: req.Target, Erase: req.Erase, DryRun: req.DryRun, After: req.After}
		} else {
			o.Root = &api.RootSpec{Words: []string{"root=live:" + src.URL}}
		}
	}
	f.orders = append(f.orders, o)
	return o.Order, nil
}

// step takes an order one step on: sent, running at 25 and 75 percent, done;
// the rotten image fails.
func (f *fakeServer) step(o *api.OrderDetail) {
	if final(o.State) {
		return
	}
	f.steps[o.ID]++
	n := f.steps[o.ID]
	o.Updated = time.Now()
	switch {
	case n == 1:
		o.State = api.StateSent
		o.Attempt++
	case n <= 3 && o.Deploy != nil && !o.Deploy.DryRun:
		o.State = api.StateRunning
		o.Progress = &api.Event{Kind: api.EventProgress, Phase: "write", Done: o.Deploy.Image.Size / 4 * int64(2*n-3), Total: o.Deploy.Image.Size, Rate: 100 << 20}
	case o.Deploy != nil && strings.HasPrefix(o.Deploy.Image.SHA256, "cd"):
		o.State, o.Message, o.Progress = api.StateFailed, "download: sha256 is 0000, the order says cdcd", nil
		o.Events = append(o.Events, api.Event{Order: o.ID, Attempt: o.Attempt, Seq: 1, Time: time.Now(), Kind: api.EventState, State: o.State, Failed: true, Message: o.Message})
	default:
		o.State, o.Message, o.Progress = api.StateDone, "all is well", nil
		if o.Deploy != nil {
			o.Plan = examplePlan()
			o.Result = &api.Result{Disk: "serial-A1", BytesRead: o.Deploy.Image.Size, Seconds: map[string]float64{"write": 3}}
		}
	}
}

// log grows by a line each time it is read.
func (f *fakeServer) log(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.PathValue("ref") != "alpha" {
		p := notFound("machine", r.PathValue("ref"))
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(p.Status)
		json.NewEncoder(w).Encode(p)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	f.looks++
	for i := range f.looks {
		fmt.Fprintf(w, "line %d of boot %s\n", i+1, r.URL.Query().Get("boot"))
	}
}

// events says every 10 ms that something changed, until the listener leaves.
func (f *fakeServer) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		f.mu.Lock()
		n := len(f.orders)
		f.mu.Unlock()
		fmt.Fprintf(w, ": tick\n\ndata: {\"order\":\"o%d\"}\n\n", n)
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

func notFound(what, name string) *api.Problem {
	return &api.Problem{Title: "Not Found", Status: 404, Detail: fmt.Sprintf("no %s %q", what, name)}
}

func body[T any](r *http.Request) T {
	var v T
	b, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return v
}
