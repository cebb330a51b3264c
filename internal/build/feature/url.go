package feature

var url = Info{
	Name:    "url",
	Aliases: []string{"url-lib", "curl", "http"},
	About:   "images and roots by http and https; the sysroot's certificate authorities are taken along",
	When:    Default,
	Needs:   []string{"network"},
}
