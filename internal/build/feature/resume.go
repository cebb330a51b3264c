package feature

var resume = Info{
	Name:  "resume",
	About: "resuming a hibernated system (resume=): what it needs is in every ramdisk",
	When:  Named,
	Needs: []string{"base"},
}
