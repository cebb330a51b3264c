package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bareroot/internal/human"
	"bareroot/internal/serve/config"
)

// Results of a check.
const (
	doctorOK   = "ok"
	doctorWarn = "warn"    // worth knowing, stops nothing
	doctorFail = "missing" // required, and not there
	doctorSkip = "unknown" // could not be looked at
)

// Jobs that a check is for.
const (
	jobServe = "serve"
	jobBuild = "build"
	jobLab   = "lab" // the virtual lab and its system image: the demo
)

// finding is the outcome of one check.
type finding struct {
	Job    string `json:"for"`
	What   string `json:"what"`
	Result string `json:"result"`
	Detail string `json:"detail"`
}

type doctorOptions struct {
	Jobs       []string
	Interfaces []string
	StateDir   string
}

func newDoctorCommand(e *env) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check what this machine has and lacks for bareroot",
		Long: `Check what this machine has and lacks: ports, other DHCP servers, programs and
their packages, disk space, user namespaces, KVM. Nothing is changed. With
--interface it asks for an address there, without taking one, and lists the
DHCP servers that offer one; this needs root or CAP_NET_RAW.

The exit code is 1 when something required is missing.`,
		Example: "  bareroot doctor\n  bareroot doctor --for serve --interface eth1",
		Args:    arguments(),
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Jobs, "for", []string{jobServe, jobBuild, jobLab}, "what the machine is for: serve, build, lab")
	f.StringSliceVar(&o.Interfaces, "interface", nil, "network interface to look for DHCP servers on")
	f.StringVar(&o.StateDir, "state-dir", config.DefaultState, "where the server keeps its state")
	asJSON := f.Bool("json", false, "print the findings as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, j := range o.Jobs {
			if !slices.Contains([]string{jobServe, jobBuild, jobLab}, j) {
				return usageError{fmt.Errorf("--for %q: it is one of serve, build, lab", j)}
			}
		}
		d := doctor{serverAnswers: serverListeners(cmd)}
		found := d.examine(cmd.Context(), o)
		if err := show(e, *asJSON, map[string]any{"findings": found, "install": aptLine(found)}, func(w io.Writer) { writeFindings(w, found) }); err != nil {
			return err
		}
		if n := countResult(found, doctorFail); n > 0 {
			return errors.New(human.Count(n, "required thing") + " missing")
		}
		return cmd.Context().Err()
	}
	return cmd
}

// serverListeners asks a running server of ours where it listens; nothing if
// there is none.
func serverListeners(cmd *cobra.Command) func(context.Context) map[string]string {
	return func(ctx context.Context) map[string]string {
		c, err := connect(cmd)
		if err != nil {
			return nil
		}
		defer c.Close()
		s, err := c.Status(ctx)
		if err != nil {
			return nil
		}
		return s.Listeners
	}
}

// examine runs the checks of the jobs asked for.
func (d doctor) examine(ctx context.Context, o doctorOptions) []finding {
	var out []finding
	for _, job := range o.Jobs {
		out = append(out, programs(job)...)
		switch job {
		case jobServe:
			out = append(out, d.ports(ctx)...)
			out = append(out, d.dhcpServers(ctx, o.Interfaces)...)
			out = append(out, diskSpace(o.StateDir))
		case jobLab:
			out = append(out, userNamespaces(ctx), tun(), kvm())
		}
	}
	return out
}

func writeFindings(w io.Writer, found []finding) {
	t := newTable("FOR", "WHAT", "RESULT", "DETAIL")
	for _, f := range found {
		t.add(f.Job, f.What, f.Result, f.Detail)
	}
	t.write(w, "")
	if line := aptLine(found); line != "" {
		fmt.Fprintf(w, "\nInstall what is missing:\n  %s\n", line)
	}
}

// aptLine installs the packages that are missing, "" if none is.
func aptLine(found []finding) string {
	var names []string
	for _, f := range found {
		if name, ok := strings.CutPrefix(f.What, "package "); ok && f.Result == doctorFail && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "apt-get install --no-install-recommends " + strings.Join(names, " ")
}

func countResult(found []finding, result string) int {
	n := 0
	for _, f := range found {
		if f.Result == result {
			n++
		}
	}
	return n
}
