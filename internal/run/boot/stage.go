package boot

import (
	"context"
	"fmt"
)

// Stage is a point of the boot, by dracut's name, with what is done there.
type Stage struct {
	Name string
	Run  func(context.Context) error
}

// StageError says in which stage a boot failed.
type StageError struct {
	Stage string
	Err   error
}

func (e *StageError) Error() string { return "stage " + e.Stage + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *StageError) Unwrap() error { return e.Err }

// Runner runs stages in order.
type Runner struct {
	Stages []Stage
	// Before is called before each stage: rd.break.
	Before func(ctx context.Context, stage string)
	// Failed is asked what to do after a failure: true tries the stage again.
	Failed func(ctx context.Context, err *StageError) (again bool)
}

// Run runs all stages. A stage that failed is repeated for as long as Failed
// says so; else its error is returned. A panic in a stage is its failure.
func (r *Runner) Run(ctx context.Context) error {
	for _, s := range r.Stages {
		r.Before(ctx, s.Name)
		for {
			err := guard(ctx, s)
			if err == nil {
				break
			}
			se := &StageError{s.Name, err}
			if ctx.Err() != nil || !r.Failed(ctx, se) {
				return se
			}
		}
	}
	return nil
}

func guard(ctx context.Context, s Stage) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return s.Run(ctx)
}
