package demo

import (
	"fmt"
	"io"
	"time"

	"bareroot/internal/human"
)

// report prints what came of each machine, and where the time went.
func report(w io.Writer, outs []outcome) {
	rows := [][]string{{"MACHINE", "FIRMWARE", "GOAL", "IMAGE", "RATE", "DISCOVERED", "ORDER", "LOGIN", "TOTAL"}}
	for _, o := range outs {
		goal := "deployed, boots from disk"
		if o.Live {
			goal = "live root over HTTP"
		}
		if o.Err != nil {
			goal = "FAILED"
		}
		image, rate := "-", "-"
		if r := o.Result; r != nil && r.ImageBytes > 0 {
			image = human.Bytes(r.ImageBytes)
			if s := o.Finished.Sub(o.Ordered).Seconds(); s > 0 {
				rate = fmt.Sprintf("%.0f MB/s", float64(r.ImageBytes)/1e6/s)
			}
		}
		rows = append(rows, []string{o.Name, o.Firmware, goal, image, rate,
			between(o.PowerOn, o.Found), between(o.Found, o.Finished), between(o.Finished, o.LoginSeen), between(o.PowerOn, o.LoginSeen)})
	}
	table(w, rows)
	for _, o := range outs {
		if o.Err != nil {
			fmt.Fprintf(w, "\n%s did not get there: %v\n  its console: %s\n", o.Name, o.Err, o.Console)
		}
	}
}

func between(a, b time.Time) string {
	if a.IsZero() || b.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%.1f s", b.Sub(a).Seconds())
}
