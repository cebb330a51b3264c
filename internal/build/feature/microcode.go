package feature

var microcode = Info{
	Name:      "microcode",
	Aliases:   []string{"early-microcode", "ucode"},
	About:     "processor microcode in a segment in front of all others, from the sysroot's intel-ucode and amd-ucode",
	When:      Named,
	Config:    []string{"MICROCODE"},
	Microcode: true,
}
