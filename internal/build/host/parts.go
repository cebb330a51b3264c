package host

import "bareroot/internal/kmod"

type device struct{}

type stack struct{}

func read(root string) (*Host, error) { return &Host{Generic: true}, nil }

func (h *Host) modules(x *kmod.Index, mode string) []Module { return nil }

func (h *Host) features() []string { return nil }

func (h *Host) cmdline() []string { return nil }
