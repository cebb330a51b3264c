package feature

var url = Info{
	Name:    "url",
	Aliases: []string{"url-lib", "curl", "http"},
	About:   "a machine's own server, and images and roots by http and https, which are bareroot-agent's part; the sysroot's certificate authorities are taken along",
	When:    Default,
	Needs:   []string{"network"},
	Agent:   true,
}
