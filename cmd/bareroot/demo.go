package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"bareroot/internal/lab/demo"
	"bareroot/internal/lab/distro"
)

func labDemo(e *env, state *string) *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Take blank machines from power-on to a running system, and show it",
		Long: `Take blank machines from power-on to a running system, and show it.

The first machine has a BIOS, the second UEFI, the third two network cards and
two disks. Over Redfish each is told to boot from the network; it is discovered
and takes its role: the third runs a live root over HTTP, the others get a real
Debian on their disk. Exit code 0 means that all reached their login prompt.

The lab stays up afterwards; "bareroot lab down" ends it.`,
		Example: "  bareroot lab demo --state .lab/demo\n  bareroot lab demo --machines 1 --no-page --stop",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Machines < 1 || o.Machines > 16 {
				return usageError{fmt.Errorf("--machines %d: between 1 and 16", o.Machines)}
			}
			var err error
			if o.Program, err = os.Executable(); err != nil {
				return err
			}
			if o.StateDir, err = filepath.Abs(*state); err != nil {
				return err
			}
			if o.CacheDir == "" {
				if o.CacheDir, err = distro.CacheDir(); err != nil {
					return err
				}
			}
			if o.CacheDir, err = filepath.Abs(o.CacheDir); err != nil {
				return err
			}
			o.Out = e.Stdout
			if f, ok := e.Stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
				o.Terminal = true
				o.Width = func() int { w, _, _ := term.GetSize(int(f.Fd())); return w }
			}
			return demo.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVar(&o.Machines, "machines", 3, "how many")
	cmd.Flags().BoolVar(&o.NoPage, "no-page", false, "print no link to the page")
	cmd.Flags().BoolVar(&o.Stop, "stop", false, "end the lab afterwards")
	cmd.Flags().StringVar(&o.CacheDir, "cache", "", "directory for kernel and system image, kept (default BAREROOT_CACHE, or bareroot in the user's cache directory)")
	return cmd
}
