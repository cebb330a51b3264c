package feature

var overlayfs = Info{
	Name:     "overlayfs",
	Aliases:  []string{"overlay", "overlay-root"},
	About:    "the overlay filesystem, for live roots",
	When:     Default,
	Needs:    []string{"base"},
	Required: []string{"overlay"},
	Config:   []string{"OVERLAY_FS"},
}
