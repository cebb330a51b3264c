// Package plan computes everything destructive that an order will do, before
// the first step runs. It is pure: facts and an order in, api.Plan or a
// reason out. It reads and writes no disks.
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"

	"bareroot/api"
	"bareroot/internal/disk"
	"bareroot/internal/human"
)

// Actions of an api.PlanDisk.
const (
	Untouched   = "untouched"
	Overwritten = "overwritten"
)

// Hash is the hash that belongs to p: sha256 of its JSON with Hash empty.
// encoding/json writes struct fields in their order and no spaces, which
// makes it canonical for this type.
func Hash(p api.Plan) string {
	p.Hash = ""
	b, err := json.Marshal(p)
	if err != nil { // the type has nothing that JSON cannot write
		panic(err)
	}
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// Input of Deploy.
type Input struct {
	Order *api.Order
	Disks []disk.Info
	Image *disk.Image // its head was read
}

// Deploy plans a deploy order. The plan names all disks also when it is
// refused, so that the operator sees why each was not taken; the error says
// why nothing will be written. Target is the disk to write.
func Deploy(in Input) (p *api.Plan, target *disk.Info, err error) {
	spec := in.Order.Deploy
	p = &api.Plan{Version: 1, Order: in.Order.ID, Disks: []api.PlanDisk{}, Steps: []api.PlanStep{}}
	disks := append([]disk.Info(nil), in.Disks...)
	sort.Slice(disks, func(i, j int) bool {
		if disks[i].ID != disks[j].ID {
			return disks[i].ID < disks[j].ID
		}
		return disks[i].Path < disks[j].Path
	})
	chosen, reasons, err := choose(disks, spec.Target, in.Image.NeedSize())
	for i, d := range disks {
		pd := api.PlanDisk{ID: d.ID, Path: d.Path, Size: d.Size, Found: d.Content, Action: Untouched, Why: reasons[i]}
		if i == chosen {
			pd.Why = why(spec.Target)
			if err == nil {
				err = allowed(in, d)
			}
			if err == nil {
				pd.Action, target = Overwritten, &disks[i]
			} else {
				pd.Why += ", but refused"
			}
		}
		p.Disks = append(p.Disks, pd)
	}
	if err == nil {
		p.Steps = steps(in, target)
	}
	p.Hash = Hash(*p)
	return p, target, err
}

func why(h api.DiskHint) string {
	if h == (api.DiskHint{}) {
		return "the only disk that fits"
	}
	return "named by the order"
}

// allowed says why the chosen disk may not be overwritten.
func allowed(in Input, d disk.Info) error {
	if err := in.Image.Fits(d.Size, d.SectorSize); err != nil {
		return fmt.Errorf("disk %s: %w", name(d), err)
	}
	if in.Order.Deploy.Erase || len(d.Content) == 0 || d.Mark != nil || ours(in, d) {
		return nil
	}
	return fmt.Errorf("disk %s holds data (%s); order it with --erase to give that up", name(d), strings.Join(d.Content, "; "))
}

// ours reports that what is on the disk was put there by an earlier attempt
// of this very order, which finished but could not say so (a power cut right
// after the last write): the server remembers that the order was writing, and
// the start of the disk is what it will be when this order is done.
func ours(in Input, d disk.Info) bool {
	at := in.Order.CutAt
	if in.Order.Attempt < 2 || at != PhaseWrite && at != PhaseVerify && at != PhaseFinish {
		return false
	}
	head, _, _, err := in.Image.Final(d.Size)
	return err == nil && in.Image.GPT != nil && len(d.Head) >= len(head) && string(d.Head[:len(head)]) == string(head)
}

// Phases of a deployment, in api.Event and api.Result.
const (
	PhaseCheck  = api.PhaseCheck // everything that can fail before the first write
	PhaseWrite  = "write"        // download, decompress and write, in one pass
	PhaseVerify = "verify"       // the download's size and hash, the disk's cache
	PhaseFinish = "finish"       // partition tables
)

func steps(in Input, d *disk.Info) []api.PlanStep {
	im := in.Order.Deploy.Image
	what := fmt.Sprintf("image %s (%s) with sha256 %s", im.URL, in.Image.Table(), im.SHA256)
	ss := []api.PlanStep{
		{Op: "wipe-tables", Disk: d.ID, Detail: "first and last MiB"},
		{Op: "write-image", Disk: d.ID, Detail: what, Bytes: in.Image.Size},
	}
	if in.Image.GPT != nil {
		ss = append(ss, api.PlanStep{Op: "move-gpt-backup", Disk: d.ID, Detail: "to the end of the disk"})
	}
	return append(ss, api.PlanStep{Op: "reread-table", Disk: d.ID, Detail: "the kernel reads the new partition table"})
}

// Print writes the plan for people.
func Print(w io.Writer, p *api.Plan) {
	fmt.Fprintf(w, "plan %.12s\n", p.Hash)
	for _, d := range p.Disks {
		found := "nothing on it"
		if len(d.Found) > 0 {
			found = strings.Join(d.Found, "; ")
		}
		fmt.Fprintf(w, "  %-11s %s (%s, %s): %s", d.Action, d.Path, d.ID, human.Bytes(d.Size), found)
		if d.Why != "" {
			fmt.Fprintf(w, " [%s]", d.Why)
		}
		fmt.Fprintln(w)
	}
	for i, s := range p.Steps {
		fmt.Fprintf(w, "  %d. %s on %s: %s\n", i+1, s.Op, s.Disk, s.Detail)
	}
}
