package elfdep

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Bounds on what a file can make us read.
const (
	maxString  = 4096    // a path or a name
	maxDynamic = 1 << 20 // bytes of the dynamic section
	maxNames   = 4096    // libraries that one file needs
	maxNote    = 1 << 20
	maxShebang = 256 // as the kernel reads
)

// abi is what must be equal in a program and its libraries.
type abi struct {
	class   elf.Class
	data    elf.Data
	machine elf.Machine
}

// object is what the loader wants to know of a file. A script has only shebang.
type object struct {
	shebang string // the interpreter of a script

	abi     abi
	typ     elf.Type
	interp  string
	soname  string
	needed  []string
	rpath   []string // not if there is a runpath, as it is ignored then
	runpath []string
	noDef   bool // DF_1_NODEFLIB: not in the default folders
	opened  []opened
	asks    Names // of glibc
}

// errPlain: neither ELF nor script.
var errPlain = errors.New("neither an ELF file nor a script")

func openObject(file string) (*object, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := newBlocks(f)
	defer b.free()
	o, err := readObject(b)
	if err != nil && !errors.Is(err, errPlain) {
		err = fmt.Errorf("read %s: %w", file, err)
	}
	return o, err
}

// readObject reads an ELF file or the first line of a script.
func readObject(r io.ReaderAt) (*object, error) {
	head := make([]byte, maxShebang)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	head = head[:n]
	if bytes.HasPrefix(head, []byte("#!")) {
		return &object{shebang: shebang(head)}, nil
	}
	if !bytes.HasPrefix(head, []byte(elf.ELFMAG)) {
		return nil, errPlain
	}
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, err
	}
	o := &object{abi: abi{f.Class, f.Data, f.Machine}, typ: f.Type}
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_INTERP:
			if o.interp, err = progString(p, 0); err != nil {
				return nil, fmt.Errorf("its loader's name: %w", err)
			}
		case elf.PT_DYNAMIC:
			if err := o.readDynamic(f, p); err != nil {
				return nil, fmt.Errorf("its dynamic section: %w", err)
			}
		case elf.PT_NOTE:
			b := make([]byte, min(p.Filesz, maxNote))
			n, err := p.ReadAt(b, 0)
			if err != nil && err != io.EOF {
				return nil, fmt.Errorf("its notes: %w", err)
			}
			o.opened = append(o.opened, parseNotes(b[:n], f.ByteOrder, p.Align)...)
		}
	}
	if slices.Contains(o.needed, "libc.so.6") {
		o.asks = imports(f)
	}
	return o, nil
}

// shebang is the first word after #!, "" if there is none.
func shebang(head []byte) string {
	line, _, _ := strings.Cut(string(head[2:]), "\n")
	line, _, _ = strings.Cut(line, "\x00")
	words := strings.Fields(line)
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// readDynamic reads the dynamic segment, which is what the loader sees; the
// sections may have been stripped off.
func (o *object) readDynamic(f *elf.File, dyn *elf.Prog) error {
	b := make([]byte, min(dyn.Filesz, maxDynamic))
	n, err := dyn.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return err
	}
	b = b[:n]
	word := 8
	if f.Class == elf.ELFCLASS32 {
		word = 4
	}
	get := func(b []byte) uint64 {
		if word == 4 {
			return uint64(f.ByteOrder.Uint32(b))
		}
		return f.ByteOrder.Uint64(b)
	}
	var strtab uint64
	var needed []uint64
	offs := map[elf.DynTag]uint64{}
	for end := false; !end && len(b) >= 2*word; b = b[2*word:] {
		tag, val := elf.DynTag(get(b)), get(b[word:])
		switch tag {
		case elf.DT_NULL:
			end = true
		case elf.DT_STRTAB:
			strtab = val
		case elf.DT_NEEDED:
			if needed = append(needed, val); len(needed) > maxNames {
				return fmt.Errorf("more than %d libraries", maxNames)
			}
		case elf.DT_SONAME, elf.DT_RPATH, elf.DT_RUNPATH:
			offs[tag] = val
		case elf.DT_FLAGS_1:
			o.noDef = elf.DynFlag1(val)&elf.DF_1_NODEFLIB != 0
		}
	}
	var str func(off uint64) (string, error)
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && strtab >= p.Vaddr && strtab-p.Vaddr < p.Filesz {
			str = func(off uint64) (string, error) { return progString(p, strtab-p.Vaddr+off) }
			break
		}
	}
	if str == nil {
		if len(needed)+len(offs) == 0 {
			return nil
		}
		return errors.New("its strings are outside of what is loaded")
	}
	for _, off := range needed {
		s, err := str(off)
		if err != nil {
			return err
		}
		if s != "" {
			o.needed = append(o.needed, s)
		}
	}
	text := map[elf.DynTag]string{}
	for tag, off := range offs {
		if text[tag], err = str(off); err != nil {
			return err
		}
	}
	o.soname = text[elf.DT_SONAME]
	if _, ok := offs[elf.DT_RUNPATH]; ok {
		o.runpath = splitPath(text[elf.DT_RUNPATH])
	} else if _, ok := offs[elf.DT_RPATH]; ok {
		o.rpath = splitPath(text[elf.DT_RPATH])
	}
	return nil
}

// splitPath drops empty elements, which mean the folder the program is started
// in.
func splitPath(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ':' })
}

// progString reads the zero-terminated string at off of a segment.
func progString(p *elf.Prog, off uint64) (string, error) {
	if off >= p.Filesz {
		return "", errors.New("a string lies outside of its segment")
	}
	b := make([]byte, min(maxString, p.Filesz-off))
	n, err := p.ReadAt(b, int64(off))
	if err != nil && err != io.EOF {
		return "", err
	}
	i := bytes.IndexByte(b[:n], 0)
	if i < 0 {
		if uint64(n) < p.Filesz-off { // longer than any name, or cut off
			return "", errors.New("a string does not end")
		}
		i = n
	}
	return string(b[:i]), nil
}

// readSome reads at most limit bytes of a file.
func readSome(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}
