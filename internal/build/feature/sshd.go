package feature

var sshd = Info{
	Name:    "sshd",
	Aliases: []string{"ssh-server", "crypt-ssh", "dropbear", "dracut-sshd"},
	About:   "an ssh server. init does not start it: run it from a shell or a hook",
	When:    Named,
	Needs:   []string{"network"},
	Binaries: []Binary{
		{Name: "sshd", Package: "openssh-server"},
		{Name: "ssh-keygen", Package: "openssh-client", Optional: true},
	},
	Files: []File{
		{Path: "etc/ssh/sshd_config", Optional: true},
		{Path: "etc/ssh/moduli", Optional: true},
		{Path: "usr/lib/openssh/sshd-session", Optional: true},
		{Path: "usr/lib/openssh/sftp-server", Optional: true},
	},
	Users: []string{"sshd"},
}
