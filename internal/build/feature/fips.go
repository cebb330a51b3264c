package feature

// fips: the modules are ciphers and modes by the names that dracut's module of
// that name loads, most of them aliases; what a kernel lacks or has built in is
// left out.
var fips = Info{
	Name:    "fips",
	Aliases: []string{"fips-crypto-policies"},
	About:   "fips=1: the ciphers, tested by init before anything uses them; the .hmac files of programs, libraries and kernel, checked at build; init checks the kernel's image on /boot (boot=)",
	When:    Named,
	Needs:   []string{"base"},
	Modules: []string{
		"sha1", "sha224", "sha256", "sha384", "sha512", "sha3-224", "sha3-256", "sha3-384", "sha3-512", "crc32c", "crct10dif", "ghash",
		"cipher_null", "des3_ede", "aes", "cfb", "dh", "ecdh", "ecb", "cbc", "ctr", "xts", "gcm", "ccm", "authenc", "hmac", "cmac", "ofb", "cts",
		"deflate", "lzo", "zlib", "ansi_cprng", "aead", "cryptomgr", "crypto_user", "drbg", "jitterentropy_rng",
		"=crypto", // tcrypt tests all that this kernel could have, and a missing one is a panic
	},
	Required: []string{"tcrypt"},
	Files: []File{
		{Path: "etc/system-fips", Optional: true},
		{Path: "etc/crypto-policies/config", Optional: true},
	},
	Config: []string{"CRYPTO_FIPS"},
	FIPS:   true,
}
