package feature

var sshClient = Info{
	Name:  "ssh-client",
	About: "the ssh and scp programs",
	When:  Named,
	Needs: []string{"network"},
	Binaries: []Binary{
		{Name: "ssh", Package: "openssh-client"},
		{Name: "scp", Package: "openssh-client", Optional: true},
	},
	Files: []File{
		{Path: "etc/ssh/ssh_config", Optional: true},
	},
}
