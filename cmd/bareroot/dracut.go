package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"bareroot/internal/build"
	"bareroot/internal/build/cache"
	"bareroot/internal/build/dracut"
	"bareroot/internal/version"
)

// exitStatus is the exit code of a verb that has said itself what was wrong.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit code %d", int(s)) }

func newDracutCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "dracut [OPTION]... [OUTPUT [KVER]]",
		Short: "Build a ramdisk in dracut's words",
		Long: `Dracut takes the command line and the configuration files of dracut 059, or of
dracut-ng with --compat ng, and builds the ramdisk that they mean. An option that
makes no difference here is accepted and a line says why; one that dracut does not
know is an error. "bareroot dracut --help" lists the options; the page "Coming from
dracut" of the documentation has them all, with what differs.

The exit code is dracut's: 0 if all is well, 1 if not; with --regenerate-all, the
sum. Started under the name dracut, this program is this verb.`,
		Example: `  bareroot dracut -N -f initrd.img 6.1.0-13-amd64
  bareroot dracut -N --install 'curl tftp' --kernel-cmdline rd.neednet=1 --include init-func /init-func initrd.img
  bareroot dracut discovery.img -m "base-foreman network terminfo debug udev-rules ssh-server"`,
		DisableFlagParsing: true, // dracut's own rules, not ours
		RunE: func(cmd *cobra.Command, args []string) error {
			unix.Umask(0o077) // the image may hold keys
			code := dracut.Run(cmd.Context(), dracut.Env{
				Stdout: e.Stdout, Stderr: e.Stderr, Machine: thisMachine(), Version: version.String(),
				Complete: func(o *build.Options) (func(), error) {
					if err := completeBuild(o); err != nil {
						return nil, err
					}
					c, err := cache.Open("", 0)
					if err != nil { // a home that cannot be written: slower, not worse
						return showProgress(e, o), nil
					}
					o.Cache = c
					clear := showProgress(e, o)
					return func() { clear(); c.Close() }, nil
				},
			}, args)
			if code != 0 {
				return exitStatus(code)
			}
			return nil
		},
	}
}

// asDracut makes the command line of a program that was started as dracut that
// of the verb.
func asDracut(argv []string) []string {
	if filepath.Base(argv[0]) == "dracut" {
		return append([]string{"dracut"}, argv[1:]...)
	}
	return argv[1:]
}

// thisMachine is what dracut asks of the machine it runs on.
func thisMachine() dracut.Machine {
	m := dracut.Machine{Getenv: os.Getenv}
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		m.Release = unix.ByteSliceToString(u.Release[:])
	}
	m.Mount = func(dir string) ([]string, bool) {
		b, err := os.ReadFile("/proc/self/mounts")
		if err != nil {
			return nil, false
		}
		var found []string
		for line := range strings.Lines(string(b)) {
			// The last one covers those before it.
			if f := strings.Fields(line); len(f) >= 4 && f[1] == filepath.Clean(dir) {
				found = f[:4]
			}
		}
		return found, found != nil
	}
	m.Mountpoint = func(dir string) bool {
		_, ok := m.Mount(dir)
		return ok
	}
	return m
}
