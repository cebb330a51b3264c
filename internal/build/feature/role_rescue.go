package feature

var roleRescue = Info{
	Name:    "rescue",
	Aliases: []string{"role-rescue"},
	About:   "role: a shell on the console, for the operator",
	When:    Named,
	Role:    "rescue",
	Needs:   []string{"network"},
}
