package feature

var crypt = Info{
	Name:    "crypt",
	Aliases: []string{"luks", "cryptsetup", "crypt-lib", "crypt-gpg", "crypt-loop", "systemd-cryptsetup"},
	About:   "encrypted devices (LUKS): cryptsetup with its token plugins, and the ciphers",
	When:    Hostonly,
	Needs:   []string{"dm"},
	Binaries: []Binary{
		{Name: "cryptsetup", Package: "cryptsetup-bin"},
	},
	Modules:  []string{"dm_integrity", "xts", "cbc", "ecb", "essiv", "aesni_intel", "aes_generic", "sha256_generic", "sha512_generic", "algif_skcipher", "algif_hash", "=crypto", "=arch/x86/crypto", "=arch/arm64/crypto"},
	Required: []string{"dm_crypt"},
	Files: []File{
		{Path: "usr/lib/*/cryptsetup/*.so", Optional: true},
		{Path: "usr/lib64/cryptsetup/*.so", Optional: true},
		{Path: "usr/lib/cryptsetup/*.so", Optional: true},
	},
	Config: []string{"DM_CRYPT"},
}
