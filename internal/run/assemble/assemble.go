// Package assemble makes block devices of other things: "this signature or
// word appeared, make that device". Roots, and later the roles that write
// disks, use the same assemblers. Today there is one: an image file becomes a
// loop device.
package assemble

import (
	"context"
	"fmt"

	"bareroot/internal/sys"
)

// Trigger is what appeared.
type Trigger struct {
	Path     string // of the file or device
	FS       string // signature found on it, "" unknown
	Regular  bool   // a regular file
	ReadOnly bool
}

// Device is an assembled block device. Release drops the assembler's own hold
// after the device was mounted.
type Device struct {
	Path    string
	Release func() error
}

// Assembler makes devices of one kind.
type Assembler interface {
	Name() string
	Claims(Trigger) bool
	Assemble(context.Context, Trigger) (Device, error)
}

// All is the list of assemblers, the first that claims a trigger gets it.
func All() []Assembler {
	return []Assembler{
		Loop{},
	}
}

// Make finds the assembler for t and runs it.
func Make(ctx context.Context, t Trigger) (Device, error) {
	for _, a := range All() {
		if a.Claims(t) {
			d, err := a.Assemble(ctx, t)
			if err != nil {
				return Device{}, fmt.Errorf("%s: %w", a.Name(), err)
			}
			return d, nil
		}
	}
	return Device{}, fmt.Errorf("make a device of %s (%s): no assembler for it", t.Path, t.FS)
}

// Loop makes a loop device of an image file.
type Loop struct{}

// Name is "loop".
func (Loop) Name() string { return "loop" }

// Claims regular files.
func (Loop) Claims(t Trigger) bool { return t.Regular }

// Assemble attaches the file.
func (Loop) Assemble(_ context.Context, t Trigger) (Device, error) {
	dev, release, err := sys.AttachLoop(t.Path, t.ReadOnly)
	if err != nil {
		return Device{}, err
	}
	return Device{Path: dev, Release: release}, nil
}
