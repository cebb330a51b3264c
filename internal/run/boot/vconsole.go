package boot

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/console"
)

// vconsole is the screen's keyboard and font: the words rd.vconsole.*, else
// vconsole.conf(5), else what Debian's console-setup(5) keeps ready.
type vconsole struct {
	keymaps             []string // of loadkeys
	font, fmap, unimaps string   // of setfont
}

// Where configuration is found in a ramdisk.
const (
	vconsoleConf  = "etc/vconsole.conf"
	consoleCached = "etc/console-setup/cached_*"
)

func readVconsole(root string, l cmdline.Line) vconsole {
	text, _ := os.ReadFile(filepath.Join(root, vconsoleConf)) // often there is none
	conf := shellWords(string(text))
	get := func(word, name string) string {
		if v, ok := l.Get(word); ok {
			return v
		}
		return conf[name]
	}
	fields := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' })
	}
	v := vconsole{
		font: get("rd.vconsole.font", "FONT"), fmap: get("rd.vconsole.font.map", "FONT_MAP"), unimaps: get("rd.vconsole.font.unimap", "FONT_UNIMAP"),
	}
	if k := get("rd.vconsole.keymap", "KEYMAP"); k != "" {
		v.keymaps = append([]string{k}, fields(get("rd.vconsole.keymap.ext", "EXT_KEYMAP")+" "+conf["KEYMAP_TOGGLE"])...)
	}
	cached, _ := filepath.Glob(filepath.Join(root, consoleCached)) // the pattern is good
	for _, p := range cached {
		p = strings.TrimPrefix(p, strings.TrimSuffix(root, "/"))
		switch base := strings.TrimSuffix(filepath.Base(p), ".gz"); {
		case strings.HasSuffix(base, ".kmap") && v.keymaps == nil:
			v.keymaps = []string{p}
		case (strings.HasSuffix(base, ".psf") || strings.HasSuffix(base, ".psfu")) && v.font == "":
			v.font = p
		}
	}
	return v
}

// shellWords reads NAME=VALUE lines with a shell's simple quotes.
func shellWords(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		k, v, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(k, "#") {
			continue
		}
		if q := v[:min(len(v), 1)]; q == `"` || q == "'" {
			v, _, _ = strings.Cut(v[1:], q)
		} else {
			v, _, _ = strings.Cut(v, " ") // a comment may follow
		}
		out[k] = v
	}
	return out
}

// commands are the programs to run.
func (v vconsole) commands() [][]string {
	var out [][]string
	if v.font != "" {
		c := []string{"setfont", v.font}
		if v.fmap != "" {
			c = append(c, "-m", v.fmap)
		}
		if v.unimaps != "" {
			c = append(c, "-u", v.unimaps)
		}
		out = append(out, append(c, "-C", "/dev/tty0"))
	}
	if len(v.keymaps) > 0 {
		out = append(out, append([]string{"loadkeys", "-q", "-u", "-C", "/dev/tty0"}, v.keymaps...))
	}
	return out
}

// vconsoleLimit is far more than those programs take.
const vconsoleLimit = 20 * time.Second

// setVconsole gives the screen its font and the keyboard its keymap, before
// anything is asked there. Neither's failure is the boot's.
func (b *Boot) setVconsole(ctx context.Context) {
	v := readVconsole("/", b.line)
	commands := v.commands()
	if _, err := os.Stat("/dev/tty0"); err != nil && len(commands) > 0 {
		b.log.Debugf("this kernel has no screen: keymap and font are left alone")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, vconsoleLimit)
	defer cancel()
	for _, c := range commands {
		name := c[0]
		c[0] = "/usr/bin/" + name
		if _, err := os.Stat(c[0]); err != nil {
			if named := b.line.Has("rd.vconsole.keymap") || b.line.Has("rd.vconsole.font"); named {
				b.log.Warnf("%s is not in this ramdisk (build with --add-feature keymap): the screen keeps the kernel's keymap and font", name)
				return
			}
			b.log.Debugf("%s is not in this ramdisk", name)
			continue
		}
		said := console.Lines{Max: 5}
		ws, err := b.reaper.Run(ctx, console.Command{Argv: c, Line: said.Add})
		switch {
		case err != nil:
			b.log.Warnf("%v", err)
		case ws.ExitStatus() != 0:
			say := b.log.Warnf
			if name == "setfont" && !b.line.Has("rd.vconsole.font") {
				say = b.log.Debugf // the text mode of a server's screen takes no font, and nobody asked for one
			}
			say("%s: %s (%s)", strings.Join(c, " "), strings.Join(said.All(), "; "), console.ExitText(ws))
		default:
			b.log.Infof("%s: %s", name, strings.Join(c[1:], " "))
		}
	}
}
