package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"bareroot/internal/serve"
	"bareroot/internal/serve/config"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	File     string
	StateDir string
	HTTP     string
	Admin    string
	Check    bool
	JSON     bool
}

func newServeCommand(e *env) *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve machines that netboot, and the operator's API and page",
		Long: `Serve machines that netboot (DHCP, TFTP, HTTP), the agents on them, and the
operator's API and page, until it is told to stop.

Nothing is answered on a network that the configuration does not name. DHCP is
proxyDHCP unless the configuration says authoritative; an authoritative server
does not start where another one answers.

Sockets passed by a service manager (LISTEN_FDS; LISTEN_FDNAMES admin or http)
replace the configured ones.`,
		Example: `  bareroot serve --config /etc/bareroot/bareroot.yaml --check
  bareroot serve --config /etc/bareroot/bareroot.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load()
			if err != nil {
				return usageError{err}
			}
			if o.Check {
				return runCheck(e, cfg, o.JSON)
			}
			given, err := serve.Activation()
			if err != nil {
				return usageError{err}
			}
			return serve.Run(cmd.Context(), cfg, given, newLogger(e.Stderr, cfg.LogLevel))
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.File, "config", "", "configuration file (YAML); without one no network interface is touched")
	f.StringVar(&o.StateDir, "state-dir", "", "directory of all state (default "+config.DefaultState+")")
	f.StringVar(&o.HTTP, "http", "", "address of the provisioning door (default "+config.DefaultHTTP+")")
	f.StringVar(&o.Admin, "admin", "", `address of the operator's door, or "none" (default `+config.DefaultAdmin+")")
	f.BoolVar(&o.Check, "check", false, "say what would be done, do nothing; exit 2 on errors")
	f.BoolVar(&o.JSON, "json", false, "with --check: the whole configuration as JSON")
	return cmd
}

// load is the configuration with the flags over it.
func (o *serveOptions) load() (*config.Config, error) {
	over := func(c *config.Config) {
		for _, v := range []struct{ to, from *string }{{&c.StateDir, &o.StateDir}, {&c.HTTP, &o.HTTP}, {&c.Admin.Listen, &o.Admin}} {
			if *v.from != "" {
				*v.to = *v.from
			}
		}
	}
	if o.File != "" {
		return config.Load(o.File, over)
	}
	c := &config.Config{}
	over(c)
	return c, c.Check()
}

func runCheck(e *env, cfg *config.Config, asJSON bool) error {
	lines, err := serve.Check(cfg)
	if asJSON {
		enc := json.NewEncoder(e.Stdout)
		enc.SetIndent("", "  ")
		if e := enc.Encode(cfg); e != nil {
			return e
		}
	} else {
		for _, l := range lines {
			fmt.Fprintln(e.Stdout, l)
		}
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

// newLogger writes lines for people to a terminal and JSON to anything else.
func newLogger(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: l}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}
