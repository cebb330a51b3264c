package feature

var keymap = Info{
	Name:    "keymap",
	Aliases: []string{"i18n", "systemd-vconsole-setup", "keyboard"},
	About:   "the console's keyboard table and font, and the programs that load them. init does not load them by itself",
	When:    Named,
	Needs:   []string{"base"},
	Binaries: []Binary{
		{Name: "loadkeys", Package: "kbd"},
		{Name: "setfont", Package: "kbd", Optional: true},
		{Name: "kbd_mode", Package: "kbd", Optional: true},
	},
	Files: []File{
		{Path: "etc/vconsole.conf", Optional: true},
		{Path: "etc/default/keyboard", Optional: true},
		{Path: "etc/default/console-setup", Optional: true},
		{Path: "etc/console-setup/cached_*", Optional: true},
		{Path: "usr/share/keymaps/i386", Optional: true},
		{Path: "usr/share/kbd/keymaps", Optional: true},
	},
}
