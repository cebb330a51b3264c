package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/internal/cmdline"
)

func TestVconsole(t *testing.T) {
	const keys, font = "loadkeys -q -u -C /dev/tty0 ", "setfont "
	for name, c := range map[string]struct {
		files map[string]string
		line  string
		want  string
	}{
		"nothing":     {nil, "", ""},
		"words":       {nil, "rd.vconsole.keymap=de-latin1-nodeadkeys rd.vconsole.font=eurlatgr", font + "eurlatgr -C /dev/tty0; " + keys + "de-latin1-nodeadkeys"},
		"old words":   {nil, "KEYTABLE=de SYSFONT=x UNIMAP=u CONTRANS=m", font + "x -m m -u u -C /dev/tty0; " + keys + "de"},
		"systemd's":   {nil, "vconsole.keymap=fr vconsole.keymap.ext=a,b", keys + "fr a b"},
		"file":        {map[string]string{vconsoleConf: "# KEYMAP=no\nKEYMAP=\"de\" # comment\nFONT='lat9w-16'\nEXT_KEYMAP=\"x y\"\n"}, "", font + "lat9w-16 -C /dev/tty0; " + keys + "de x y"},
		"word wins":   {map[string]string{vconsoleConf: "KEYMAP=de\n"}, "rd.vconsole.keymap=us", keys + "us"},
		"word undoes": {map[string]string{vconsoleConf: "KEYMAP=de\n"}, "rd.vconsole.keymap=", ""},
		"Debian": {map[string]string{"etc/console-setup/cached_UTF-8_del.kmap.gz": "", "etc/console-setup/cached_Lat15-Fixed16.psf.gz": "", "etc/console-setup/cached_setup_font.sh": ""}, "",
			font + "/etc/console-setup/cached_Lat15-Fixed16.psf.gz -C /dev/tty0; " + keys + "/etc/console-setup/cached_UTF-8_del.kmap.gz"},
	} {
		root := t.TempDir()
		for p, text := range c.files {
			p = filepath.Join(root, p)
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, argv := range readVconsole(root, cmdline.Parse(c.line, "t").Canonical()).commands() {
			got = append(got, strings.Join(argv, " "))
		}
		if g := strings.Join(got, "; "); g != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, g, c.want)
		}
	}
}
