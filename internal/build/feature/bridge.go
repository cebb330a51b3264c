package feature

var bridge = Info{
	Name:     "bridge",
	Aliases:  []string{"brctl"},
	About:    "the bridge module: bridge=",
	When:     Named,
	Needs:    []string{"network"},
	Modules:  []string{"stp", "llc"},
	Required: []string{"bridge"},
	Config:   []string{"BRIDGE"},
}
