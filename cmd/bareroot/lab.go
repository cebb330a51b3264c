package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"bareroot/api"
	"bareroot/internal/human"
	"bareroot/internal/lab"
	"bareroot/internal/lab/console"
	"bareroot/internal/lab/sock"
)

func newLabCommand(e *env) *cobra.Command {
	state := ".lab"
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Run blank virtual machines behind a Redfish service",
		Long: "Run blank virtual machines on a private network, switched by a Redfish service.\n" +
			"Nothing touches the host's network, and all of it ends with the lab.",
	}
	cmd.PersistentFlags().StringVar(&state, "state", state, "directory with the lab's disks, consoles and logs")
	cmd.AddCommand(labUp(e, &state), labList(e, &state), labConsole(e, &state), labDown(e, &state), labDemo(e, &state))
	return cmd
}

func labUp(e *env, state *string) *cobra.Command {
	var config, cache string
	var detach bool
	cmd := &cobra.Command{
		Use:     "up",
		Short:   "Start the lab and stay until it is ended (or --detach)",
		Example: "  bareroot lab up --config lab.yaml --detach",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := lab.ReadConfig(config)
			if err != nil {
				return usageError{err}
			}
			if detach {
				return labDetach(cmd.Context(), e, *state, config, cache)
			}
			r, err := lab.Start(cmd.Context(), cfg, lab.Options{StateDir: *state, CacheDir: cache, Log: os.Stderr})
			if err != nil {
				return err
			}
			fmt.Fprintf(e.Stdout, "lab is up: %d machines, redfish %s, user %s, password in %s\n",
				len(cfg.Machines), r.RedfishURL, cfg.Redfish.User, lab.PasswordFile(r.StateDir))
			return r.Wait(cmd.Context())
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "lab.yaml", "configuration")
	cmd.Flags().StringVar(&cache, "cache", "", "directory for a kernel to try KVM with (default below the state directory)")
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "return when the lab is up and leave it running")
	return cmd
}

// labDetach starts "lab up" again as a process of its own and waits for its
// first line.
func labDetach(ctx context.Context, e *env, state, config, cache string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(state, 0o755); err != nil {
		return err
	}
	logPath := filepath.Join(state, "lab.log")
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	args := []string{"lab", "up", "--state", state, "--config", config}
	if cache != "" {
		args = append(args, "--cache", cache)
	}
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr = w, log
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	w.Close()
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(unix.SIGTERM) })
	defer stop()
	buf := make([]byte, 4096)
	n, err := r.Read(buf) // one line, or the end of the process
	if err != nil {
		_ = cmd.Wait()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b, _ := os.ReadFile(logPath)
		return fmt.Errorf("the lab did not start: %s", lastWords(string(b)))
	}
	_, err = e.Stdout.Write(buf[:n])
	return errors.Join(err, cmd.Process.Release())
}

// lastWords is what a program that failed said last, without its own name.
func lastWords(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "bareroot: ")
}

func labList(e *env, state *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Show machines and services of the running lab",
		Example: "  bareroot lab list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := lab.GetStatus(cmd.Context(), *state)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(e.Stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(s)
			}
			w := tabwriter.NewWriter(e.Stdout, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "MACHINE\tFIRMWARE\tPOWER\tSINCE\tSTARTS\tMAC\tDISKS\tNOTE")
			for _, m := range s.Machines {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%d\t%s\n", m.Name, m.Firmware, m.Power, human.Ago(m.Since, time.Now()),
					m.Starts, strings.Join(m.MACs, ","), len(m.Disks), strings.TrimSpace(m.Override+" "+m.Error))
			}
			for _, sv := range s.Services {
				fmt.Fprintf(w, "service %s\t\t%s\t\t\t\t\t%s\n", sv.Name, sv.State, sv.Log)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(e.Stdout, "redfish %s, user %s, password in %s; %s (%s)\n", s.Redfish, s.User, s.PasswordFile, s.Accel, s.AccelWhy)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func labDown(e *env, state *string) *cobra.Command {
	return &cobra.Command{
		Use:     "down",
		Short:   "End the lab; the disks stay",
		Example: "  bareroot lab down",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			said := "lab is down"
			if err := lab.Down(cmd.Context(), *state); errors.Is(err, lab.ErrNotUp) {
				said = err.Error() // which is what was wanted
			} else if err != nil {
				return err
			}
			_, err := fmt.Fprintln(e.Stdout, said)
			return err
		},
	}
}

func labConsole(e *env, state *string) *cobra.Command {
	var log, follow bool
	cmd := &cobra.Command{
		Use:     "console MACHINE",
		Short:   "Talk to a machine's serial console; Ctrl-] leaves",
		Example: "  bareroot lab console bios1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := lab.GetStatus(cmd.Context(), *state)
			if err != nil {
				return err
			}
			for _, m := range s.Machines {
				if m.Name != args[0] {
					continue
				}
				switch {
				case follow:
					return console.Follow(cmd.Context(), m.Log, e.Stdout)
				case log:
					return printFile(e.Stdout, m.Log)
				}
				return labTerminal(cmd.Context(), e, m)
			}
			return &api.Problem{Status: 404, Title: "not found", Detail: fmt.Sprintf("no machine %q in this lab", args[0])}
		},
	}
	cmd.Flags().BoolVar(&log, "log", false, "print what the console said so far")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "print what the console said and says")
	return cmd
}

func printFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// labTerminal joins the terminal and the console until Ctrl-]. A machine that
// is off, or switched off and on, is waited for.
func labTerminal(ctx context.Context, e *env, m lab.MachineStatus) error {
	if m.Power == "off" {
		fmt.Fprintf(e.Stderr, "%s is off; its console begins at power-on\n", m.Name)
	}
	fmt.Fprintln(e.Stderr, "Ctrl-] leaves this console")
	in, ok := e.Stdin.(*os.File)
	if ok && term.IsTerminal(int(in.Fd())) {
		old, err := term.MakeRaw(int(in.Fd()))
		if err != nil {
			return fmt.Errorf("set up the terminal: %w", err)
		}
		defer func() { _ = term.Restore(int(in.Fd()), old); fmt.Fprintln(e.Stderr) }()
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	keys := make(chan []byte)
	// Reading the terminal cannot be interrupted: this goroutine ends with
	// the program.
	go func() {
		for {
			buf := make([]byte, 256)
			n, err := e.Stdin.Read(buf)
			for i, c := range buf[:n] {
				if c == 0x1d {
					n, err = i, io.EOF
					break
				}
			}
			if n > 0 {
				select {
				case keys <- buf[:n]:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				leave()
				return
			}
		}
	}()
	for ctx.Err() == nil {
		conn, err := sock.Dial(m.Console)
		if err != nil {
			return fmt.Errorf("the lab has ended: %w", err)
		}
		said := make(chan struct{})
		go func() {
			defer close(said)
			_, _ = io.Copy(e.Stdout, conn) // its end is the machine's power-off
		}()
		for open := true; open; {
			select {
			case k := <-keys:
				_, _ = conn.Write(k) // a machine that is gone hears nothing
			case <-said:
				open = false
			case <-ctx.Done():
				open = false
			}
		}
		conn.Close()
		<-said
	}
	return nil
}
