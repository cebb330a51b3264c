package sys

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// InitModule gives a module's ELF image to the kernel. A module that is
// loaded already is no error.
func InitModule(name string, image []byte, params string) error {
	err := unix.InitModule(image, params)
	if err == nil || errors.Is(err, unix.EEXIST) {
		return nil
	}
	return fmt.Errorf("load module %s: %w", name, err)
}

// RemoveModule takes a module out of the kernel.
func RemoveModule(name string) error {
	if err := unix.DeleteModule(name, unix.O_NONBLOCK); err != nil {
		return fmt.Errorf("remove module %s: %w", name, err)
	}
	return nil
}
