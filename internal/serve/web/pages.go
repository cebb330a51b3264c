package web

import (
	"fmt"
	"net/http"
	"strings"

	"bareroot/api"
)

// machines is the list.
func (s *Site) machines(w http.ResponseWriter, r *http.Request) {
	list, err := s.cfg.Inventory.Machines(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	data := struct {
		Summary string
		Rows    []row
	}{Summary: summary(list)}
	for i := range list {
		data.Rows = append(data.Rows, s.row(&list[i]))
	}
	s.show(w, r, http.StatusOK, "machines", page{Title: "Machines", Nav: "machines", Data: data})
}

// summary counts machines by what people ask first.
func summary(list []api.Machine) string {
	var fresh, busy, failed int
	for i := range list {
		switch tone(&list[i]) {
		case "note":
			fresh++
		case "busy":
			busy++
		case "bad":
			failed++
		}
	}
	parts := []string{fmt.Sprintf("%d known", len(list))}
	for _, c := range []struct {
		n    int
		what string
	}{{fresh, "to approve"}, {busy, "at work"}, {failed, "in trouble"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return strings.Join(parts, " · ")
}

func (s *Site) rowFragment(w http.ResponseWriter, r *http.Request) {
	m, err := s.cfg.Inventory.Machine(r.Context(), r.PathValue("id"))
	if err != nil {
		s.failFragment(w, r, err)
		return
	}
	s.show(w, r, http.StatusOK, "row", s.row(m))
}

// showMachine is the page of one machine, with what went wrong last.
func (s *Site) showMachine(w http.ResponseWriter, r *http.Request, status int, problem string) {
	d, err := s.detail(r.Context(), r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d.Error = problem
	images, err := s.cfg.Inventory.Images(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for _, img := range images {
		d.Images = append(d.Images, choice(img))
	}
	s.show(w, r, status, "machine", page{Title: d.Row.Name, Nav: "machine", Error: problem, Status: status, Data: d})
}

// detailFragment is a live part of a machine's page. The form for orders is
// not in one: what is being typed must stay.
func (s *Site) detailFragment(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d, err := s.detail(r.Context(), r.PathValue("id"))
		if err != nil {
			s.failFragment(w, r, err)
			return
		}
		s.show(w, r, http.StatusOK, name, d)
	}
}

func (s *Site) order(w http.ResponseWriter, r *http.Request) {
	o, err := s.orderView(r.Context(), r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.show(w, r, http.StatusOK, "order", page{Title: o.What, Nav: "order", Data: o})
}

func (s *Site) orderFragment(w http.ResponseWriter, r *http.Request) {
	o, err := s.orderView(r.Context(), r.PathValue("id"))
	if err != nil {
		s.failFragment(w, r, err)
		return
	}
	s.show(w, r, http.StatusOK, "orderbody", o)
}

// failFragment answers the script, which reads the status only.
func (s *Site) failFragment(w http.ResponseWriter, r *http.Request, err error) {
	status, text := explain(err)
	if status >= 500 && r.Context().Err() == nil {
		s.cfg.Log.Error("fragment failed", "path", r.URL.Path, "err", err)
	}
	http.Error(w, text, status)
}

func (s *Site) images(w http.ResponseWriter, r *http.Request) {
	images, err := s.cfg.Inventory.Images(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	sets, err := s.cfg.Inventory.BootSets(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	data := struct {
		Images   []imageView
		BootSets []bootSetView
	}{}
	for _, i := range images {
		data.Images = append(data.Images, s.imageView(i))
	}
	for _, b := range sets {
		data.BootSets = append(data.BootSets, s.bootSetView(b))
	}
	s.show(w, r, http.StatusOK, "images", page{Title: "Images and boot sets", Nav: "images", Data: data})
}

func (s *Site) server(w http.ResponseWriter, r *http.Request) {
	st := s.cfg.Status()
	data := struct{ Facts, Listeners, Errors []pair }{
		Facts: []pair{
			{"Version", st.Version},
			{"Started", s.clock(st.Started).Full},
			{"Machines", fmt.Sprint(st.Machines)},
		},
		Listeners: pairs(st.Listeners),
		Errors:    pairs(st.Errors),
	}
	s.show(w, r, http.StatusOK, "server", page{Title: "Server", Nav: "server", Data: data})
}
