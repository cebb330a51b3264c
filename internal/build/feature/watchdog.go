package feature

var watchdog = Info{
	Name:    "watchdog",
	Aliases: []string{"watchdog-modules"},
	About:   "hardware watchdogs. init does not feed them: the module's own limit applies once something opens the device",
	When:    Named,
	Needs:   []string{"base"},
	Modules: []string{"=drivers/watchdog"},
	Config:  []string{"WATCHDOG"},
}
