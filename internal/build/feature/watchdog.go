package feature

var watchdog = Info{
	Name:    "watchdog",
	Aliases: []string{"watchdog-modules"},
	About:   "hardware watchdogs, for bareroot.watchdog=SECONDS: fed while init works, running when the root takes over",
	When:    Named,
	Needs:   []string{"base"},
	Modules: []string{"=drivers/watchdog"},
	Config:  []string{"WATCHDOG"},
}
