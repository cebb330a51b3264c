package order

import (
	"fmt"
	"slices"
	"strings"

	"bareroot/api"
)

// Status derives the word that people see for a machine from its fields and
// its newest order. Reason is why it is held.
func Status(m *api.Machine, reason string, discovered bool) string {
	switch m.Approval {
	case api.ApprovalRetired:
		return "retired"
	case api.ApprovalHeld:
		if reason != "" {
			return "parked: " + reason
		}
		return "parked"
	}
	if o := m.Order; o != nil && Open(o.State) {
		return ofOpen(m, o)
	}
	if m.Failed {
		return "failed: " + m.Message
	}
	if o := m.Order; o != nil && o.State == api.StateFailed && !(o.Deploy != nil && o.Deploy.DryRun) {
		return "failed: " + o.Message
	}
	switch {
	case (m.Boot == api.BootDisk || m.Boot == api.BootRoot) && m.Phase == "discovered":
		return "waiting" // in the ramdisk: what it boots comes with its next start
	case m.Boot == api.BootDisk:
		return "deployed"
	case m.Boot == api.BootRoot && slices.Contains([]string{"netboot", "hello", "network", "root"}, m.Phase):
		return "starting root"
	case m.Boot == api.BootRoot:
		return "live"
	case m.BootID != "" && !discovered:
		return "discovering"
	case m.Approval == api.ApprovalNew:
		return "new"
	}
	return "waiting"
}

// Doing says what a machine does in a phase of an order, for people; "" for
// a phase that is not known here. The image may be "".
func Doing(kind, phase, image string) string {
	if image = strings.TrimSpace("image " + image); image == "image" {
		image = "the image"
	}
	return map[[2]string]string{
		{api.KindDeploy, api.PhaseCheck}: "checks the disks and " + image,
		{api.KindDeploy, "write"}:        "writes " + image + " to its disk",
		{api.KindDeploy, "verify"}:       "verifies what was written of " + image,
		{api.KindDeploy, "finish"}:       "completes the partition table",
		{api.KindRoot, "download"}:       "downloads " + image + " into memory",
	}[[2]string{kind, phase}]
}

func ofOpen(m *api.Machine, o *api.Order) string {
	switch {
	case o.State == api.StateQueued && m.Approval != api.ApprovalApproved && Changing(o.Kind):
		return "waiting for approval"
	case o.State == api.StateQueued:
		return o.Kind + " queued"
	case o.State == api.StateSent:
		return o.Kind + " starting"
	}
	word := map[string]string{
		api.KindDeploy: "deploying", api.KindDiscover: "discovering", api.KindRoot: "starting root",
		api.KindReboot: "rebooting", api.KindPowerOff: "powering off",
	}[o.Kind]
	if p := o.Progress; p != nil && p.Total > 0 {
		return fmt.Sprintf("%s %d%%", word, min(100, 100*p.Done/p.Total))
	}
	return word
}
