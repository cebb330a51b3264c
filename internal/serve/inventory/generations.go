package inventory

import (
	"context"
	"fmt"
	"os"

	"bareroot/api"
	"bareroot/internal/serve/store"
)

// newGeneration makes the boot set in tmp the newest generation of the push's
// name, and the current one. The current one once more changes nothing.
func (s *Service) newGeneration(ctx context.Context, tmp string, p *push) (*api.PushReply, error) {
	reply := &api.PushReply{}
	var dropped []string
	err := s.store.Update(ctx, func(t *store.Tx) error {
		*reply, dropped = api.PushReply{}, nil
		row := store.BootSet{Name: p.name, Manifest: *p.manifest, Added: s.now(), Generation: 1}
		old, err := t.BootSet(p.name)
		switch {
		case notFound(err):
			if err := t.AddBootSet(row); err != nil {
				return err
			}
			if err := t.AddGeneration(row); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			if row, reply.Unchanged, err = succeed(t, old, row); err != nil {
				return err
			}
		}
		if reply.Dropped, dropped, err = prune(t, row, p.Keep); err != nil {
			return err
		}
		if err := s.placeSet(tmp, p.manifest); err != nil {
			return err
		}
		dflt, err := t.Setting(defaultSet)
		if err != nil {
			return err
		}
		if dflt == "" || p.Default {
			dflt = p.name
			if err := t.PutSetting(defaultSet, dflt); err != nil {
				return err
			}
		}
		b := asBootSet(row, dflt)
		reply.BootSet = &b
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.removeSets(ctx, dropped)
	return reply, nil
}

// succeed puts next after old, which becomes generation 1 if it was registered
// by path.
func succeed(t *store.Tx, old, next store.BootSet) (row store.BootSet, unchanged bool, err error) {
	if old.Generation == 0 {
		old.Generation = 1
		if err := t.AddGeneration(old); err != nil {
			return row, false, err
		}
	}
	if old.Manifest.ID == next.Manifest.ID {
		return old, true, t.SetBootSet(old)
	}
	all, err := t.Generations(old.Name)
	if err != nil {
		return row, false, err
	}
	next.Generation = all[len(all)-1].Generation + 1
	if err := t.AddGeneration(next); err != nil {
		return row, false, err
	}
	return next, false, t.SetBootSet(next)
}

// prune drops the oldest generations until keep are left; never the current.
func prune(t *store.Tx, current store.BootSet, keep int) (numbers []int, ids []string, err error) {
	all, err := t.Generations(current.Name)
	if err != nil {
		return nil, nil, err
	}
	left := len(all)
	for _, g := range all {
		if left <= keep {
			break
		}
		if g.Generation == current.Generation {
			continue
		}
		if err := t.DeleteGeneration(g.Name, g.Generation); err != nil {
			return nil, nil, err
		}
		left--
		numbers, ids = append(numbers, g.Generation), append(ids, g.Manifest.ID)
	}
	return numbers, ids, nil
}

// removeSets removes the directories of boot sets that no row names any more.
// The rows went first, durably: a directory without a row is swept at the next
// start, a row without its directory would be a broken promise.
func (s *Service) removeSets(ctx context.Context, ids []string) {
	for _, id := range ids {
		err := s.store.Update(ctx, func(t *store.Tx) error {
			if _, err := t.BootSetByID(id); !notFound(err) {
				return err // still there under another name or number
			}
			return os.RemoveAll(s.setPath(id))
		})
		if err != nil {
			s.cfg.Log.Warn("boot set's files not removed; the next start of the server does it", "id", id, "err", err)
		}
	}
}

// Generations lists what a boot set's name stood for, the newest first.
func (s *Service) Generations(ctx context.Context, name string) ([]api.Generation, error) {
	out := []api.Generation{}
	err := s.store.View(ctx, func(t *store.Tx) error {
		current, err := t.BootSet(name)
		if err != nil {
			return missing(err, "no boot set %q; see: bareroot boot list", name)
		}
		all, err := t.Generations(name)
		for i := len(all) - 1; i >= 0; i-- {
			m := all[i].Manifest
			out = append(out, api.Generation{
				Number: all[i].Generation, ID: m.ID, Kernel: m.Kver, Arch: m.Arch, Size: m.Size(), Added: all[i].Added,
				Current: all[i].Generation == current.Generation,
			})
		}
		return err
	})
	return out, err
}

// Rollback makes an older generation the current one. Machines get it from
// their next netboot on; the newer ones are kept.
func (s *Service) Rollback(ctx context.Context, name string, r api.RollbackRequest) (*api.BootSet, error) {
	var out api.BootSet
	err := s.store.Update(ctx, func(t *store.Tx) error {
		current, err := t.BootSet(name)
		if err != nil {
			return missing(err, "no boot set %q; see: bareroot boot list", name)
		}
		all, err := t.Generations(name)
		if err != nil {
			return err
		}
		to, err := rollbackTo(name, all, current.Generation, r.To)
		if err != nil {
			return err
		}
		if err := t.SetBootSet(to); err != nil {
			return err
		}
		dflt, err := t.Setting(defaultSet)
		out = asBootSet(to, dflt)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.broker.publish(api.Change{})
	return &out, nil
}

func rollbackTo(name string, all []store.BootSet, current, want int) (store.BootSet, error) {
	kept := ""
	var before *store.BootSet
	for i, g := range all {
		kept += fmt.Sprintf(" %d", g.Generation)
		if g.Generation == want {
			return g, nil
		}
		if g.Generation < current {
			before = &all[i]
		}
	}
	switch {
	case len(all) == 0:
		return store.BootSet{}, conflict("boot set %s was never pushed, so it has no generations; a push makes them", name)
	case want != 0:
		return store.BootSet{}, conflict("boot set %s has no generation %d; kept are%s", name, want, kept)
	case before == nil:
		return store.BootSet{}, conflict("boot set %s has no generation before %d; kept are%s", name, current, kept)
	}
	return *before, nil
}
