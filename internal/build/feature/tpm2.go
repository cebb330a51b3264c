package feature

var tpm2 = Info{
	Name:    "tpm2",
	Aliases: []string{"tpm2-tss"},
	About:   "encrypted devices opened by the machine's TPM: drivers, and the libraries of the token plugins",
	When:    Named,
	Needs:   []string{"crypt"},
	Modules: []string{"=drivers/char/tpm"},
	Files: []File{
		{Path: "usr/lib/*/libtss2-esys.so.0", Optional: true},
		{Path: "usr/lib/*/libtss2-mu.so.0", Optional: true},
		{Path: "usr/lib/*/libtss2-rc.so.0", Optional: true},
		{Path: "usr/lib/*/libtss2-sys.so.1", Optional: true},
		{Path: "usr/lib/*/libtss2-tcti-device.so.0", Optional: true},
		{Path: "usr/lib64/libtss2-*.so.*", Optional: true},
	},
}
