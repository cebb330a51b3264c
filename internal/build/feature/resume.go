package feature

var resume = Info{
	Name:  "resume",
	About: "resuming from hibernation. init does not resume yet",
	When:  Named,
	Needs: []string{"base"},
}
