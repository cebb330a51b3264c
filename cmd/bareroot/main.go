// Bareroot, on the operator's machine: builds ramdisks, serves them, keeps the
// inventory, drives the machines, runs the virtual lab.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"bareroot/internal/lab"
)

// env is what a verb may touch of the process it runs in.
type env struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

func main() {
	lab.Reexec() // the inside of a lab is this program, too
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // not under nohup: the terminal is gone
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	code := run(ctx, &env{os.Stdin, os.Stdout, os.Stderr}, asDracut(os.Args))
	stop()
	os.Exit(code)
}

// run is the whole program as a function of its streams and arguments.
func run(ctx context.Context, e *env, args []string) int {
	root := newRootCommand(e)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	code := exitCode(err)
	if err != nil && !errors.As(err, new(exitStatus)) {
		fmt.Fprintf(e.Stderr, "bareroot: %s\n", message(err))
	}
	if errors.As(err, new(usageError)) {
		fmt.Fprintf(e.Stderr, "hint: see \"%s --help\"\n", cmd.CommandPath())
	}
	return code
}

func newRootCommand(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:           "bareroot",
		Short:         "Take bare machines from power-on to the root they are meant to have",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(e.Stdin)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		newBuildCommand(e),
		newCacheCommand(e),
		newDracutCommand(e),
		newMachineCommand(e),
		newOrderCommand(e),
		newImageCommand(e),
		newBootCommand(e),
		newCmdlineCommand(e),
		newReportCommand(e),
		newStatusCommand(e),
		newPageCommand(e),
		newServeCommand(e),
		newLabCommand(e),
		newDoctorCommand(e),
		newVersionCommand(e),
	)
	root.AddCommand(newHelpTopics()...)
	addServerFlags(root)
	usageChecks(root)
	return root
}
