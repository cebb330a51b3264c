package netboot

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"bareroot/internal/serve/order"
)

// machineSegment is the name of the machine's own segment in scripts: it
// sorts, and is loaded, last.
const machineSegment = "90-machine.cpio"

// espLabel is the volume label of an EFI system partition whose boot loader
// may be started from the network.
const espLabel = "BAREROOT"

// maxCmdline is what the kernel keeps on x86 (COMMAND_LINE_SIZE - 1).
const maxCmdline = 2047

// firstScript makes iPXE come back with who it is. netX is the interface that
// is being booted from. The mac and uuid settings print in URL-safe letters.
// iPXE's own limits for a failing server are short: ask for about a minute,
// then let the firmware try its next device.
func firstScript(base string) string {
	var b strings.Builder
	b.WriteString("#!ipxe\n")
	b.WriteString("set tries:int32 0\n")
	b.WriteString(":ask\n")
	fmt.Fprintf(&b, "chain --replace --autofree %s/boot/ipxe?uuid=${uuid}&mac=${netX/mac}&platform=${platform}&arch=${buildarch} ||\n", base)
	b.WriteString("inc tries\n")
	b.WriteString("iseq ${tries} 12 && goto giveup ||\n")
	b.WriteString("echo bareroot: no boot script yet, asking again\n")
	b.WriteString("sleep 5\n")
	b.WriteString("goto ask\n")
	b.WriteString(":giveup\n")
	b.WriteString("echo bareroot: the server gives no boot script; going on to the next boot device\n")
	b.WriteString("exit 1\n")
	return b.String()
}

// again is the line with which a script asks for a new one.
func again(base string) string {
	return fmt.Sprintf("chain --replace --autofree %s/boot/ipxe || exit 1\n", base)
}

var (
	plainName = regexp.MustCompile(`^[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,120}$`)
	hexName   = regexp.MustCompile(`^[0-9a-f]{8,64}$`)
	tokenName = regexp.MustCompile(`^[A-Za-z0-9_-]{8,128}$`)
)

// Script is the iPXE script for decision d, with URLs below base, which has
// no slash at its end. What cannot be written in iPXE's language, which has
// no quoting, is an error.
func Script(base string, r order.BootRequest, d order.Decision) (string, error) {
	switch d.Action {
	case order.ActBoot:
		return bootScript(base, d)
	case order.ActDisk:
		return diskScript(r, d), nil
	case order.ActPark:
		return parkScript(base, d.Message), nil
	}
	return "", fmt.Errorf("write boot script: unknown action %q", d.Action)
}

func bootScript(base string, d order.Decision) (string, error) {
	if d.Set == nil || !hexName.MatchString(d.Set.ID) {
		return "", fmt.Errorf("write boot script: the decision names no boot set")
	}
	if !tokenName.MatchString(d.Attempt) {
		return "", fmt.Errorf("write boot script: attempt id %q has characters that a URL or iPXE would change", d.Attempt)
	}
	if err := checkCmdline(d.Cmdline); err != nil {
		return "", err
	}
	type item struct{ name, url string }
	var items []item
	names := []string{d.Set.Kernel.File}
	for _, s := range d.Set.Segments {
		names = append(names, s.File)
	}
	for _, n := range names {
		if !plainName.MatchString(n) {
			return "", fmt.Errorf("write boot script: boot set %.12s has a file %q; iPXE takes letters, digits and ._+- only", d.Set.ID, n)
		}
		items = append(items, item{n, fmt.Sprintf("%s/boot/sets/%s/%s", base, d.Set.ID, url.PathEscape(n))})
	}
	items = append(items, item{machineSegment, fmt.Sprintf("%s/boot/segments/%s", base, d.Attempt)})

	var words []string
	for _, it := range items[1:] {
		// UEFI's loader finds the segments by these words, in this order.
		words = append(words, "initrd="+it.name)
	}
	line := strings.Join(append(words, d.Cmdline), " ")
	if n := len(items[0].name) + 1 + len(line); n > maxCmdline {
		return "", fmt.Errorf("write boot script: the kernel command line is %d bytes, the kernel keeps %d; shorten the words of the boot set or order", n, maxCmdline)
	}

	var b strings.Builder
	b.WriteString("#!ipxe\n")
	fmt.Fprintf(&b, "echo bareroot: boot set %.12s, kernel %s\n", d.Set.ID, speak(d.Set.Kver))
	if d.Message != "" {
		fmt.Fprintf(&b, "echo bareroot: %s\n", speak(d.Message))
	}
	b.WriteString("set tries:int32 0\n")
	b.WriteString(":fetch\n")
	b.WriteString("imgfree\n")
	fmt.Fprintf(&b, "kernel --name %s %s %s || goto failed\n", items[0].name, items[0].url, line)
	for _, it := range items[1:] {
		fmt.Fprintf(&b, "initrd --name %s %s || goto failed\n", it.name, it.url)
	}
	b.WriteString("boot || goto failed\n")
	b.WriteString(":failed\n")
	b.WriteString("inc tries\n")
	b.WriteString("iseq ${tries} 5 && goto giveup ||\n")
	b.WriteString("echo bareroot: download failed, trying again\n")
	b.WriteString("sleep 3\n")
	b.WriteString("goto fetch\n")
	b.WriteString(":giveup\n")
	b.WriteString("imgfree\n")
	b.WriteString("echo bareroot: the boot set could not be loaded, asking the server again in 30 seconds\n")
	b.WriteString("sleep 30\n")
	b.WriteString(again(base))
	return b.String(), nil
}

// diskScript steps aside. BIOS goes on to its next device when the network
// card's code returns; UEFI does so only after a failure, and then tries its
// other network protocols first, a minute each. So a boot loader on a volume
// with our label is started at once. The label is a promise that not every
// loader keeps: that it finds its root by itself, because what iPXE starts
// believes that it came from the network.
func diskScript(r order.BootRequest, d order.Decision) string {
	msg := d.Message
	if msg == "" {
		msg = "this machine boots from its own disk"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#!ipxe\necho bareroot: %s\n", speak(msg))
	if r.Platform != "uefi" {
		b.WriteString("exit 0\n")
		return b.String()
	}
	loader := "BOOTX64.EFI"
	if r.Arch == "arm64" {
		loader = "BOOTAA64.EFI"
	}
	fmt.Fprintf(&b, "chain --autofree file://%s/EFI/BOOT/%s ||\n", espLabel, loader)
	b.WriteString("exit 1\n")
	return b.String()
}

// parkScript shows message and asks again in a minute.
func parkScript(base, message string) string {
	return fmt.Sprintf("#!ipxe\necho bareroot: %s\necho bareroot: asking again in a minute\nsleep 60\n%s", speak(message), again(base))
}

// checkCmdline refuses what iPXE would not hand to the kernel as written: it
// expands ${...}, splits at white space, and takes the words ||, && and ; as
// its own and # as the start of a comment. There is no quoting.
func checkCmdline(line string) error {
	for _, r := range line {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("write boot script: the kernel command line has a control character %q", r)
		}
	}
	if strings.Contains(line, "${") {
		return fmt.Errorf("write boot script: the kernel command line has ${, which iPXE replaces by a setting of its own")
	}
	for _, w := range strings.Fields(line) {
		if reserved(w) {
			return fmt.Errorf("write boot script: the kernel command line has the word %q, which iPXE takes for itself", w)
		}
	}
	return nil
}

func reserved(w string) bool {
	return w == "||" || w == "&&" || w == ";" || strings.HasPrefix(w, "#")
}

// speak makes text safe to echo: one line, nothing that iPXE expands or
// takes as a command.
func speak(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '$', r == '{', r == '}':
			return -1
		case !unicode.IsPrint(r):
			return ' '
		}
		return r
	}, text)
	words := strings.Fields(text)
	for i, w := range words {
		if reserved(w) {
			words[i] = strings.TrimLeft(w, "#|&;")
		}
	}
	out := strings.Join(strings.Fields(strings.Join(words, " ")), " ")
	if r := []rune(out); len(r) > 300 {
		out = string(r[:300]) + "..."
	}
	return out
}
