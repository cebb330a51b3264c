package feature

var livenet = Info{
	Name:    "livenet",
	Aliases: []string{"live-net"},
	About:   "a live root fetched over the network: root=live:http://...",
	When:    Default,
	Needs:   []string{"url", "dmsquash-live"},
}
