// Package role holds what a ramdisk can be ordered to do, one file per role.
// A role carries out one order and reports; it does not know where orders
// come from (package agent) nor how they travel (package dialect).
package role

import (
	"context"

	"bareroot/api"
)

// Reporter takes what a role has to say. Calls do not block on the network,
// but for Facts.
type Reporter interface {
	Facts(ctx context.Context, f api.Facts) error
	Note(message string)
	Plan(p *api.Plan)
	Progress(phase string, done, total, rate int64)
	Result(r api.Result)
}
