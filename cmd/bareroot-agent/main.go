// Command bareroot-agent carries out the orders of the machine's own server.
// bareroot-init starts it in the ramdisk, on the console, after it opened a
// session; when the agent ends, its outcome file says what init does next. With
// --errands it is the part of init that speaks HTTP (package errand), and with
// --ssh the ramdisk's ssh server, whatever the ramdisk is there to do.
//
// It is not for the command line of a running system: its roles overwrite
// disks.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"bareroot/internal/rdconf"
	"bareroot/internal/run/courier"
	"bareroot/internal/run/errand"
	"bareroot/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// files are where init and agent meet.
type files struct{ session, outcome, log string }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("bareroot-agent", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintln(stderr, "usage: bareroot-agent [--session FILE] [--outcome FILE] [--log FILE] | --errands | --ssh FILE | --version")
		fs.PrintDefaults()
	}
	var f files
	fs.StringVar(&f.session, "session", rdconf.SessionPath, "the session that bareroot-init opened")
	fs.StringVar(&f.outcome, "outcome", rdconf.OutcomePath, "where to leave what init does next")
	fs.StringVar(&f.log, "log", rdconf.LogPath, "the boot's log, added to and sent to the server")
	errands := fs.Bool(strings.TrimLeft(errand.Flag, "-"), false, "run the errands that bareroot-init writes to standard input, and nothing else")
	sshConf := fs.String("ssh", "", "be an ssh server as this file says, and nothing else")
	printVersion := fs.Bool("version", false, "print the version")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if *printVersion {
		fmt.Fprintln(stdout, "bareroot-agent", version.String())
		return 0
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "bareroot-agent: unknown argument %q\n", fs.Arg(0))
		return 2
	}
	if *errands {
		c := courier.Courier{Log: logger}
		if err := errand.Serve(ctx, os.Stdin, stdout, c.Do); err != nil {
			fmt.Fprintf(stderr, "%v\n", err)
			return 1
		}
		return 0
	}
	if *sshConf != "" {
		if err := serveSSH(ctx, *sshConf, stdout); err != nil {
			fmt.Fprintf(stderr, "%v\n", err)
			return 1
		}
		return 0
	}
	if err := work(ctx, f, stdout); err != nil {
		fmt.Fprintf(stderr, "bareroot-agent: %v\n", err)
		return 1
	}
	return 0
}
