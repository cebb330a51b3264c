package feature

var sshLogin = Info{
	Name:    "ssh",
	Aliases: []string{"ssh-login"},
	About:   "an ssh server of init's own, for rd.ssh: keys only, shells, commands, passphrases of disks (\"unlock\"); it is a part of bareroot-agent",
	When:    Named,
	Needs:   []string{"network", "shell"},
	Agent:   true,
}
