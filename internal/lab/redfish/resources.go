package redfish

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// obj is one JSON object of the tree.
type obj map[string]any

const root = "/redfish/v1"

func link(path string) obj { return obj{"@odata.id": root + path} }

func head(path, kind, id, name string) obj {
	return obj{"@odata.id": root + path, "@odata.type": kind, "Id": id, "Name": name}
}

func collection(path, kind, name string, members []obj) obj {
	if members == nil {
		members = []obj{}
	}
	return obj{"@odata.id": root + path, "@odata.type": "#" + kind + "." + kind, "Name": name,
		"Members": members, "Members@odata.count": len(members)}
}

func with(o obj, more obj) obj {
	for k, v := range more {
		o[k] = v
	}
	return o
}

var enabled = obj{"State": "Enabled", "Health": "OK"}

// resources lists all that can be read.
func (s *Service) resources(get func(string, func(*http.Request) (obj, error))) {
	fixed := func(path string, o obj) {
		get(root+path, func(*http.Request) (obj, error) { return o, nil })
	}
	get("/redfish", func(*http.Request) (obj, error) { return obj{"v1": root + "/"}, nil })
	fixed("", with(head("", "#ServiceRoot.v1_5_0.ServiceRoot", "RootService", "bareroot lab"), obj{
		"RedfishVersion": "1.6.0", "UUID": "6b617265-726f-4f74-8000-0000000001ab",
		"Systems": link("/Systems"), "Managers": link("/Managers"), "Chassis": link("/Chassis"),
		"SessionService": link("/SessionService"),
		"Links":          obj{"Sessions": link("/SessionService/Sessions")},
	}))
	fixed("/odata", obj{"@odata.context": root + "/$metadata", "value": []obj{
		{"name": "Service", "kind": "Singleton", "url": root + "/"},
		{"name": "Systems", "kind": "Singleton", "url": root + "/Systems"},
	}})
	fixed("/SessionService", with(head("/SessionService", "#SessionService.v1_1_3.SessionService", "SessionService", "Sessions"), obj{
		"ServiceEnabled": true, "SessionTimeout": int(sessionIdle.Seconds()), "Status": enabled,
		"Sessions": link("/SessionService/Sessions"),
	}))
	get(root+"/SessionService/Sessions", func(*http.Request) (obj, error) { return s.listSessions(), nil })
	get(root+"/SessionService/Sessions/{id}", s.showSession)

	names := make([]string, len(s.machines))
	for i, m := range s.machines {
		names[i] = m.Info().Name
	}
	members := func(path string) (ms []obj) {
		for _, n := range names {
			ms = append(ms, link(path+"/"+n))
		}
		return ms
	}
	fixed("/Systems", collection("/Systems", "ComputerSystemCollection", "Machines", members("/Systems")))
	fixed("/Managers", collection("/Managers", "ManagerCollection", "Management controllers", members("/Managers")))
	fixed("/Chassis", collection("/Chassis", "ChassisCollection", "Chassis", members("/Chassis")))
	machine := func(path string, f func(Info) obj) {
		get(root+path, func(r *http.Request) (obj, error) {
			m, err := s.machine(r)
			if err != nil {
				return nil, err
			}
			return f(m.Info()), nil
		})
	}
	machine("/Systems/{name}", system)
	machine("/Managers/{name}", manager)
	machine("/Chassis/{name}", chassis)
	machine("/Systems/{name}/EthernetInterfaces", func(i Info) obj {
		var ms []obj
		for n := range i.MACs {
			ms = append(ms, link(fmt.Sprintf("/Systems/%s/EthernetInterfaces/%d", i.Name, n)))
		}
		return collection("/Systems/"+i.Name+"/EthernetInterfaces", "EthernetInterfaceCollection", "Network cards", ms)
	})
	get(root+"/Systems/{name}/EthernetInterfaces/{nic}", s.nic)
}

func (s *Service) machine(r *http.Request) (Machine, error) {
	name := r.PathValue("name")
	m, ok := s.byName[name]
	if !ok {
		return nil, bad(http.StatusNotFound, "ResourceMissingAtURI", "there is no machine %q", name)
	}
	return m, nil
}

func power(on bool) string {
	if on {
		return "On"
	}
	return "Off"
}

func system(i Info) obj {
	path := "/Systems/" + i.Name
	mode := "Legacy"
	if i.UEFI {
		mode = "UEFI"
	}
	return with(head(path, "#ComputerSystem.v1_10_0.ComputerSystem", i.Name, i.Name), obj{
		"SystemType": "Physical", "UUID": i.UUID, "Manufacturer": "bareroot", "Model": "lab machine",
		"PowerState": power(i.On), "Status": enabled,
		"ProcessorSummary": obj{"Count": i.CPUs, "Status": enabled},
		"MemorySummary":    obj{"TotalSystemMemoryGiB": float64(i.MemoryMiB) / 1024, "Status": enabled},
		"Boot": obj{
			"BootSourceOverrideEnabled": i.Enabled, "BootSourceOverrideTarget": i.Target, "BootSourceOverrideMode": mode,
			"BootSourceOverrideTarget@Redfish.AllowableValues":  targets,
			"BootSourceOverrideEnabled@Redfish.AllowableValues": enableds,
			"BootSourceOverrideMode@Redfish.AllowableValues":    []string{mode},
		},
		"EthernetInterfaces": link(path + "/EthernetInterfaces"),
		"Actions": obj{"#ComputerSystem.Reset": obj{
			"target": root + path + "/Actions/ComputerSystem.Reset", "ResetType@Redfish.AllowableValues": resetTypes,
		}},
		"Links": obj{"ManagedBy": []obj{link("/Managers/" + i.Name)}, "Chassis": []obj{link("/Chassis/" + i.Name)}},
	})
}

func manager(i Info) obj {
	return with(head("/Managers/"+i.Name, "#Manager.v1_5_0.Manager", i.Name, i.Name+" controller"), obj{
		"ManagerType": "BMC", "UUID": i.UUID, "PowerState": "On", "Status": enabled,
		"Links": obj{"ManagerForServers": []obj{link("/Systems/" + i.Name)}, "ManagerForChassis": []obj{link("/Chassis/" + i.Name)}},
	})
}

func chassis(i Info) obj {
	return with(head("/Chassis/"+i.Name, "#Chassis.v1_9_0.Chassis", i.Name, i.Name+" chassis"), obj{
		"ChassisType": "Other", "PowerState": power(i.On), "Status": enabled,
		"Links": obj{"ComputerSystems": []obj{link("/Systems/" + i.Name)}, "ManagedBy": []obj{link("/Managers/" + i.Name)}},
	})
}

func (s *Service) nic(r *http.Request) (obj, error) {
	m, err := s.machine(r)
	if err != nil {
		return nil, err
	}
	i := m.Info()
	n, err := strconv.Atoi(r.PathValue("nic"))
	if err != nil || n < 0 || n >= len(i.MACs) {
		return nil, bad(http.StatusNotFound, "ResourceMissingAtURI", "machine %s has no network card %q", i.Name, r.PathValue("nic"))
	}
	id := strconv.Itoa(n)
	return with(head("/Systems/"+i.Name+"/EthernetInterfaces/"+id, "#EthernetInterface.v1_5_0.EthernetInterface", id, "NIC "+id), obj{
		"MACAddress": strings.ToUpper(i.MACs[n]), "PermanentMACAddress": strings.ToUpper(i.MACs[n]),
		"InterfaceEnabled": true, "LinkStatus": "LinkUp", "Status": enabled,
	}), nil
}

func sessionResource(id, user string) obj {
	return with(head("/SessionService/Sessions/"+id, "#Session.v1_1_0.Session", id, "Session "+id), obj{"UserName": user})
}

func (s *Service) listSessions() obj {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id := range s.sessions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var ms []obj
	for _, id := range ids {
		ms = append(ms, link("/SessionService/Sessions/"+id))
	}
	return collection("/SessionService/Sessions", "SessionCollection", "Sessions", ms)
}

func (s *Service) showSession(r *http.Request) (obj, error) {
	id := r.PathValue("id")
	s.mu.Lock()
	defer s.mu.Unlock()
	ses, ok := s.sessions[id]
	if !ok {
		return nil, bad(http.StatusNotFound, "ResourceMissingAtURI", "there is no session %q", id)
	}
	return sessionResource(id, ses.user), nil
}

// patch changes the boot override; nothing else of a machine can be changed.
func (s *Service) patch(w http.ResponseWriter, r *http.Request) error {
	m, err := s.machine(r)
	if err != nil {
		return err
	}
	var in map[string]json.RawMessage
	if err := decode(r, &in); err != nil {
		return err
	}
	info := m.Info()
	if match := r.Header.Get("If-Match"); match != "" && match != "*" {
		if want := etag(system(info)); !strings.Contains(match, strings.TrimPrefix(want, "W/")) {
			return bad(http.StatusPreconditionFailed, "PreconditionFailed", "the machine has changed since it was read")
		}
	}
	for k := range in {
		if k != "Boot" {
			return bad(http.StatusBadRequest, "PropertyNotWritable", "property %q cannot be changed", k)
		}
	}
	var boot map[string]string
	if err := json.Unmarshal(in["Boot"], &boot); err != nil || len(boot) == 0 {
		return bad(http.StatusBadRequest, "PropertyMissing", "Boot must hold properties that are text")
	}
	on, target := info.Enabled, info.Target
	for k, v := range boot {
		var allowed []string
		switch k {
		case "BootSourceOverrideEnabled":
			on, allowed = v, enableds
		case "BootSourceOverrideTarget":
			target, allowed = v, targets
		case "BootSourceOverrideMode":
			// Accepted as said (clients always send one), but firmware is
			// not changed by it.
			allowed = []string{"Legacy"}
			if info.UEFI {
				allowed = []string{"UEFI"}
			}
		default:
			return bad(http.StatusBadRequest, "PropertyNotWritable", "property Boot.%s cannot be changed", k)
		}
		if !slices.Contains(allowed, v) {
			return bad(http.StatusBadRequest, "PropertyValueNotInList", "Boot.%s cannot be %q; known are %s", k, v, strings.Join(allowed, ", "))
		}
	}
	if target == "None" || on == "Disabled" {
		on, target = "Disabled", "None"
	}
	if err := m.SetBoot(r.Context(), on, target); err != nil {
		return err
	}
	s.Log.Info("boot override", "machine", info.Name, "enabled", on, "target", target)
	return done(w)
}

func (s *Service) reset(w http.ResponseWriter, r *http.Request) error {
	m, err := s.machine(r)
	if err != nil {
		return err
	}
	var in struct{ ResetType string }
	if err := decode(r, &in); err != nil {
		return err
	}
	if !slices.Contains(resetTypes, in.ResetType) {
		return bad(http.StatusBadRequest, "ActionParameterValueNotInList", "ResetType cannot be %q; known are %s", in.ResetType, strings.Join(resetTypes, ", "))
	}
	info := m.Info()
	if in.ResetType == "GracefulShutdown" && !info.On {
		return done(w)
	}
	if err := m.Reset(r.Context(), in.ResetType); err != nil {
		return err
	}
	s.Log.Info("reset", "machine", info.Name, "type", in.ResetType)
	return done(w)
}

func etag(o obj) string {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // strings, numbers and booleans only
	}
	sum := sha256.Sum256(b)
	return `W/"` + hex.EncodeToString(sum[:8]) + `"`
}

func reply(w http.ResponseWriter, r *http.Request, status int, o obj) {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // strings, numbers and booleans only
	}
	h := w.Header()
	h.Set("OData-Version", "4.0")
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	if status == http.StatusOK {
		tag := etag(o)
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			h.Del("Content-Length")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that left is no concern of ours
}

// done answers that it is done: 204, without a body.
func done(w http.ResponseWriter) error {
	w.Header().Set("OData-Version", "4.0")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// fail answers with an error in Redfish's form.
func (s *Service) fail(w http.ResponseWriter, r *http.Request, err error) {
	var f *fault
	if !errors.As(err, &f) {
		s.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		f = &fault{http.StatusInternalServerError, "InternalError", err.Error()}
	}
	if f.status == http.StatusUnauthorized && r.Header.Get("X-Auth-Token") == "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="bareroot lab"`)
	}
	id := "Base.1.8." + f.id
	reply(w, r, f.status, obj{"error": obj{"code": id, "message": f.text,
		"@Message.ExtendedInfo": []obj{{"MessageId": id, "Message": f.text, "Severity": "Critical"}}}})
}
