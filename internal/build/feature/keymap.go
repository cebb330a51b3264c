package feature

var keymap = Info{
	Name:    "keymap",
	Aliases: []string{"i18n", "systemd-vconsole-setup", "keyboard"},
	About:   "the console's keyboard table and font, and the programs that load them before anything is asked there",
	When:    Named,
	Needs:   []string{"base", "shell"}, // loadkeys unpacks keymaps with gzip, by the shell
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
		{Path: "usr/lib/kbd/keymaps", Optional: true},
	},
}
