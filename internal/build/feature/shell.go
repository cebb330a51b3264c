package feature

var shell = Info{
	Name:    "shell",
	Aliases: []string{"busybox", "bash", "dash", "mksh", "ash", "shell-interpreter", "rescue-shell"},
	About:   "busybox: the shell and the tools of the emergency console",
	When:    Default,
	Needs:   []string{"base"},
	Busybox: true,
}
