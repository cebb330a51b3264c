package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"bareroot/api"
)

// maxForm bounds a posted form.
const maxForm = 64 << 10

// form reads a posted form.
func form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, bad("the form could not be read: " + err.Error())
	}
	return r.PostForm, nil
}

func bad(detail string) *api.Problem {
	return &api.Problem{Title: http.StatusText(http.StatusBadRequest), Status: http.StatusBadRequest, Detail: detail}
}

// back goes to the machine's page, or shows it with what went wrong.
func (s *Site) back(w http.ResponseWriter, r *http.Request, err error) {
	id := r.PathValue("id")
	if err == nil {
		http.Redirect(w, r, "/machines/"+url.PathEscape(id), http.StatusSeeOther)
		return
	}
	status, text := explain(err)
	if status == http.StatusNotFound {
		s.fail(w, r, err)
		return
	}
	s.showMachine(w, r, status, text)
}

func (s *Site) approve(w http.ResponseWriter, r *http.Request) {
	f, err := form(w, r)
	if err == nil {
		_, err = s.cfg.Inventory.Approve(r.Context(), r.PathValue("id"), api.ApproveRequest{Approval: f.Get("approval")})
	}
	s.back(w, r, err)
}

func (s *Site) power(w http.ResponseWriter, r *http.Request) {
	s.back(w, r, s.doPower(w, r))
}

func (s *Site) doPower(w http.ResponseWriter, r *http.Request) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	if s.cfg.Power == nil {
		return &api.Problem{Title: "Conflict", Status: http.StatusConflict, Detail: "this server has no power service. Name a Redfish service in its configuration."}
	}
	var req api.PowerRequest
	switch do := f.Get("do"); do {
	case "on", "off", "cycle":
		req.Action = do
	case "netboot":
		req = api.PowerRequest{Action: "cycle", Boot: "pxe"}
	default:
		return bad(fmt.Sprintf("power action %q is not known", do))
	}
	m, err := s.cfg.Inventory.Machine(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	_, err = s.cfg.Power.Do(r.Context(), m.UUID, req)
	return err
}

func (s *Site) place(w http.ResponseWriter, r *http.Request) {
	s.back(w, r, s.doPlace(w, r))
}

// doPlace makes an order of a form: an image, or a kind without details.
func (s *Site) doPlace(w http.ResponseWriter, r *http.Request) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	m, err := s.cfg.Inventory.Machine(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	req := api.OrderRequest{Kind: f.Get("kind")}
	if name := f.Get("image"); name != "" {
		if req, err = s.imageOrder(r, m, name, f); err != nil {
			return err
		}
	} else if req.Kind != api.KindDiscover {
		return bad("choose a system image")
	}
	_, err = s.cfg.Inventory.PlaceOrder(r.Context(), m.ID, req)
	return err
}

func (s *Site) imageOrder(r *http.Request, m *api.Machine, name string, f url.Values) (api.OrderRequest, error) {
	images, err := s.cfg.Inventory.Images(r.Context())
	if err != nil {
		return api.OrderRequest{}, err
	}
	i := slices.IndexFunc(images, func(i api.Image) bool { return i.Name == name })
	if i < 0 {
		return api.OrderRequest{}, bad(fmt.Sprintf("there is no system image %q any more", name))
	}
	req := api.OrderRequest{Kind: kindFor(images[i]), Image: name}
	if req.Kind != api.KindDeploy {
		return req, nil
	}
	if word := f.Get("erase"); word != "" {
		if word != m.Name {
			return req, bad(fmt.Sprintf("nothing was ordered: to erase data, type the machine's name, which is %q, not %q", m.Name, word))
		}
		req.Erase = true
	}
	req.DryRun = f.Get("dry_run") != ""
	req.Target, err = hint(m, f.Get("target"))
	return req, err
}

// hint names a disk of m, by what stays with the disk.
func hint(m *api.Machine, id string) (api.DiskHint, error) {
	if id == "" {
		return api.DiskHint{}, nil
	}
	if m.Facts != nil {
		for _, d := range m.Facts.Disks {
			switch {
			case d.ID != id:
			case d.WWN != "":
				return api.DiskHint{WWN: d.WWN}, nil
			case d.Serial != "":
				return api.DiskHint{Serial: d.Serial}, nil
			default:
				return api.DiskHint{Path: d.Path}, nil
			}
		}
	}
	return api.DiskHint{}, bad(fmt.Sprintf("the machine has no disk %q any more", id))
}

func (s *Site) cancel(w http.ResponseWriter, r *http.Request) {
	o, err := s.cfg.Inventory.Cancel(r.Context(), r.PathValue("id"))
	s.toMachine(w, r, o, err)
}

func (s *Site) retry(w http.ResponseWriter, r *http.Request) {
	o, err := s.cfg.Inventory.Retry(r.Context(), r.PathValue("id"))
	s.toMachine(w, r, o, err)
}

func (s *Site) toMachine(w http.ResponseWriter, r *http.Request, o *api.Order, err error) {
	if err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/machines/"+url.PathEscape(o.Machine), http.StatusSeeOther)
}
