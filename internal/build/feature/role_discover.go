package feature

var roleDiscover = Info{
	Name:    "discover",
	Aliases: []string{"role-discover", "base-foreman", "foreman", "fdi"},
	About:   "role: sends the machine's facts and waits for orders",
	When:    Named,
	Role:    "discover",
	Needs:   []string{"network"},
}
