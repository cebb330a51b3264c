package feature

var terminfo = Info{
	Name:  "terminfo",
	About: "descriptions of terminals, for programs that draw on the screen",
	When:  Named,
	Needs: []string{"base"},
	Files: []File{
		{Path: "usr/share/terminfo/l/linux", Optional: true},
		{Path: "usr/share/terminfo/v/vt100", Optional: true},
		{Path: "usr/share/terminfo/v/vt102", Optional: true},
		{Path: "usr/share/terminfo/v/vt220", Optional: true},
		{Path: "usr/share/terminfo/x/xterm", Optional: true},
		{Path: "usr/share/terminfo/x/xterm-256color", Optional: true},
		{Path: "usr/share/terminfo/s/screen", Optional: true},
		{Path: "usr/share/terminfo/a/ansi", Optional: true},
		{Path: "usr/share/terminfo/d/dumb", Optional: true},
		{Path: "lib/terminfo/l/linux", Optional: true},
		{Path: "lib/terminfo/v/vt100", Optional: true},
		{Path: "lib/terminfo/v/vt102", Optional: true},
		{Path: "lib/terminfo/v/vt220", Optional: true},
		{Path: "lib/terminfo/x/xterm", Optional: true},
		{Path: "lib/terminfo/x/xterm-256color", Optional: true},
		{Path: "lib/terminfo/s/screen", Optional: true},
		{Path: "lib/terminfo/a/ansi", Optional: true},
		{Path: "lib/terminfo/d/dumb", Optional: true},
	},
}
