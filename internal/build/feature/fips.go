package feature

var fips = Info{
	Name:    "fips",
	Aliases: []string{"fips-crypto-policies"},
	About:   "the .hmac files beside installed programs and libraries, and the self-test module. init does not verify them at boot; fips=1 must be on the kernel's own command line",
	When:    Named,
	Needs:   []string{"base"},
	Modules: []string{"tcrypt", "=crypto"},
	Files: []File{
		{Path: "etc/system-fips", Optional: true},
		{Path: "etc/crypto-policies/config", Optional: true},
	},
	Config: []string{"CRYPTO_FIPS"},
	HMAC:   true,
}
