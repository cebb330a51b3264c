package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"bareroot/api"
	"bareroot/client"
)

// Exit codes, the same for every verb.
const (
	exitOK          = 0
	exitFailed      = 1 // it was tried and failed
	exitUsage       = 2 // the command line or a file given on it is wrong
	exitUnreachable = 3 // the server does not answer
	exitNotFound    = 4 // the thing named does not exist
	exitRefused     = 5 // refused: not approved, data in the way, conflict, no permission
	exitInterrupted = 130
)

// usageError marks an error of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode maps an error to the documented exit codes.
func exitCode(err error) int {
	var usage usageError
	var status exitStatus
	var problem *api.Problem
	var un *client.UnreachableError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage), strings.HasPrefix(err.Error(), "unknown command"):
		return exitUsage
	case errors.As(err, &problem):
		switch {
		case problem.Status == 404:
			return exitNotFound
		case problem.Status == 400 || problem.Status == 422:
			return exitUsage
		case problem.Status == 401 || problem.Status == 403 || problem.Status == 409:
			return exitRefused
		}
		return exitFailed
	case errors.Is(err, errRefused):
		return exitRefused
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &un):
		if errors.Is(err, fs.ErrPermission) {
			return exitRefused
		}
		return exitUnreachable
	}
	return exitFailed
}

// errRefused marks what the person at the terminal, or nobody, said no to.
var errRefused = errors.New("refused")

// message is err as one sentence for the person at the terminal, and a hint
// where there is one.
func message(err error) string {
	var un *client.UnreachableError
	var problem *api.Problem
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.As(err, &un) && errors.Is(err, fs.ErrPermission):
		return err.Error() + "\nhint: the socket belongs to the user that runs \"bareroot serve\"; become that user or root"
	case errors.As(err, &un):
		return err.Error() + "\nhint: is \"bareroot serve\" running? --server or BAREROOT_SERVER names another server"
	case errors.As(err, &problem) && problem.Status == 401:
		return err.Error() + "\nhint: --token-file or BAREROOT_TOKEN_FILE names the file that the server keeps its token in (admin.token)"
	}
	return err.Error()
}
