package feature

var roleDeploy = Info{
	Name:    "deploy",
	Aliases: []string{"role-deploy", "ironic", "deploy-ironic", "tripleo", "ironic-agent"},
	About:   "role: writes a system image to a disk",
	When:    Named,
	Role:    "deploy",
	Needs:   []string{"network"},
}
