package main

import (
	"context"
	"errors"
	"net"
	"strings"

	"bareroot/api"
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
	var problem *api.Problem
	var op *net.OpError
	switch {
	case err == nil:
		return exitOK
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
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &op) && op.Op == "dial":
		return exitUnreachable
	}
	return exitFailed
}

// message is err as one sentence for the person at the terminal.
func message(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return err.Error()
}
