package feature

var roleRoot = Info{
	Name:    "root",
	Aliases: []string{"role-root"},
	About:   "role: starts a root: local, or fetched over the network",
	When:    Named,
	Role:    "root",
	Needs:   []string{"base"},
}
