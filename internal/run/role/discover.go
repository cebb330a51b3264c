package role

import (
	"context"
	"fmt"

	"bareroot/api"
	"bareroot/internal/human"
)

// Discover gathers the machine's facts and reports them.
type Discover struct {
	Gather func(ctx context.Context) (api.Facts, error)
}

// Run does it once.
func (d *Discover) Run(ctx context.Context, _ api.Order, rep Reporter) error {
	f, err := d.Gather(ctx)
	if err != nil {
		return fmt.Errorf("gather facts: %w", err)
	}
	if err := rep.Facts(ctx, f); err != nil {
		return err
	}
	rep.Note("reported " + human.Count(len(f.Disks), "disk") + " and " + human.Count(len(f.NICs), "network interface"))
	return nil
}
