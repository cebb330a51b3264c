package boot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"bareroot/internal/rdconf"
	"bareroot/internal/run/fips"
)

// checked puts the checks that are due before each stage's work.
func (b *Boot) checked(stages []Stage) []Stage {
	for i, s := range stages {
		stages[i].Run = func(ctx context.Context) error {
			if s.Name == "cmdline" {
				if err := whole("/"); err != nil {
					return err
				}
			}
			if err := b.checkFIPS(ctx, s.Name); err != nil {
				return err
			}
			return s.Run(ctx)
		}
	}
	return stages
}

// whole sees to it that nothing is started from half a ramdisk: the kernel goes
// on with what it unpacked before a damaged segment. Every ramdisk has this
// file in the last segment.
func whole(root string) error {
	_, err := os.Stat(filepath.Join(root, rdconf.Vendor))
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("this ramdisk is not whole: " + rdconf.Vendor + " is missing; a segment was damaged on its way (the kernel says \"Initramfs unpacking failed\" then) or left out")
	}
	return err
}

// checkFIPS makes what checks fips=1 asks for before a stage.
func (b *Boot) checkFIPS(ctx context.Context, stage string) error {
	if !b.line.Has("fips") {
		return nil
	}
	if b.fips == nil {
		b.fips = &fips.Checks{
			Say: b.log.Infof,
			Load: func(name string) error {
				if b.mods == nil {
					return errors.New("there are no kernel modules")
				}
				return b.mods.Load(name)
			},
			Device: func(ctx context.Context, form string) (string, error) {
				dev, _, err := b.devices.Wait(ctx, form, b.limit())
				return dev, err
			},
		}
	}
	b.fips.Line, b.fips.Kver, b.fips.Root = b.line, b.kver, b.role() == "root"
	return b.fips.Stage(ctx, stage)
}
