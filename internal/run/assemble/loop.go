package assemble

import "bareroot/internal/sys"

// Device is an assembled block device. Release drops the assembler's own hold
// after the device was mounted.
type Device struct {
	Path    string
	Release func() error
}

// Loop makes a device of an image file.
func Loop(path string, readOnly bool) (Device, error) {
	dev, release, err := sys.AttachLoop(path, readOnly)
	if err != nil {
		return Device{}, err
	}
	return Device{Path: dev, Release: release}, nil
}
