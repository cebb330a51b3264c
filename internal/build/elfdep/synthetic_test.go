package elfdep

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fake describes an ELF file that holds nothing but what the loader reads.
type fake struct {
	abi     abi // x86-64 if empty
	interp  string
	soname  string
	needed  []string
	rpath   string
	runpath string
	dlopen  string // JSON of a note
	noDef   bool
}

var (
	amd64 = abi{elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_X86_64}
	i386  = abi{elf.ELFCLASS32, elf.ELFDATA2LSB, elf.EM_386}
	s390x = abi{elf.ELFCLASS64, elf.ELFDATA2MSB, elf.EM_S390}
	arm64 = abi{elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_AARCH64}
)

// bytes is the file: headers, one PT_LOAD over all, no sections.
func (f fake) bytes() []byte {
	ab := f.abi
	if ab == (abi{}) {
		ab = amd64
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if ab.data == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	wide := ab.class == elf.ELFCLASS64
	ehsize, phsize := 52, 32
	if wide {
		ehsize, phsize = 64, 56
	}

	strs := []byte{0}
	str := func(s string) uint64 {
		off := len(strs)
		strs = append(append(strs, s...), 0)
		return uint64(off)
	}
	type tag struct{ tag, val uint64 }
	var tags []tag
	for _, n := range f.needed {
		tags = append(tags, tag{uint64(elf.DT_NEEDED), str(n)})
	}
	for t, s := range map[elf.DynTag]string{elf.DT_SONAME: f.soname, elf.DT_RPATH: f.rpath, elf.DT_RUNPATH: f.runpath} {
		if s != "" {
			tags = append(tags, tag{uint64(t), str(s)})
		}
	}
	if f.noDef {
		tags = append(tags, tag{uint64(elf.DT_FLAGS_1), uint64(elf.DF_1_NODEFLIB)})
	}

	type seg struct {
		typ      elf.ProgType
		off, len int
	}
	segs := 2 // PT_LOAD, PT_DYNAMIC
	if f.interp != "" {
		segs++
	}
	if f.dlopen != "" {
		segs++
	}
	var body bytes.Buffer
	at := func() int { return ehsize + segs*phsize + body.Len() }
	align := func() {
		for at()%8 != 0 {
			body.WriteByte(0)
		}
	}
	var table []seg
	if f.interp != "" {
		table = append(table, seg{elf.PT_INTERP, at(), len(f.interp) + 1})
		body.WriteString(f.interp + "\x00")
	}
	strtab := at()
	body.Write(strs)
	align()
	if f.dlopen != "" {
		start := at()
		body.Write(note(order, 4, noteDlopen, f.dlopen))
		table = append(table, seg{elf.PT_NOTE, start, at() - start})
		align()
	}
	start := at()
	for _, t := range append(tags, tag{uint64(elf.DT_STRTAB), uint64(strtab)}, tag{uint64(elf.DT_STRSZ), uint64(len(strs))}, tag{}) {
		if wide {
			binary.Write(&body, order, []uint64{t.tag, t.val})
		} else {
			binary.Write(&body, order, []uint32{uint32(t.tag), uint32(t.val)})
		}
	}
	table = append(table, seg{elf.PT_DYNAMIC, start, at() - start}, seg{elf.PT_LOAD, 0, at()})

	var head bytes.Buffer
	ident := append([]byte(elf.ELFMAG), byte(ab.class), byte(ab.data), byte(elf.EV_CURRENT))
	if wide {
		h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(ab.machine), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: uint16(segs), Shentsize: 64}
		copy(h.Ident[:], ident)
		binary.Write(&head, order, h)
	} else {
		h := elf.Header32{Type: uint16(elf.ET_DYN), Machine: uint16(ab.machine), Version: 1, Phoff: 52, Ehsize: 52, Phentsize: 32, Phnum: uint16(segs), Shentsize: 40}
		copy(h.Ident[:], ident)
		binary.Write(&head, order, h)
	}
	for _, s := range table {
		if wide {
			binary.Write(&head, order, elf.Prog64{Type: uint32(s.typ), Off: uint64(s.off), Vaddr: uint64(s.off), Filesz: uint64(s.len), Memsz: uint64(s.len), Align: 4})
		} else {
			binary.Write(&head, order, elf.Prog32{Type: uint32(s.typ), Off: uint32(s.off), Vaddr: uint32(s.off), Filesz: uint32(s.len), Memsz: uint32(s.len), Align: 4})
		}
	}
	return append(head.Bytes(), body.Bytes()...)
}

// note is one ELF note of owner FDO.
func note(order binary.ByteOrder, align int, typ uint32, desc string) []byte {
	var b bytes.Buffer
	binary.Write(&b, order, []uint32{4, uint32(len(desc)), typ})
	b.WriteString("FDO\x00")
	for b.Len()%align != 0 {
		b.WriteByte(0)
	}
	b.WriteString(desc)
	for b.Len()%align != 0 {
		b.WriteByte(0)
	}
	return b.Bytes()
}

// files makes a sysroot. A value is a fake, the text of a file, or a link:
// "-> target".
func files(t *testing.T, tree map[string]any) string {
	t.Helper()
	root := t.TempDir()
	for name, v := range tree {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch v := v.(type) {
		case fake:
			err = os.WriteFile(p, v.bytes(), 0o755)
		case string:
			if target, ok := strings.CutPrefix(v, "-> "); ok {
				err = os.Symlink(target, p)
			} else {
				err = os.WriteFile(p, []byte(v), 0o755)
			}
		default:
			err = fmt.Errorf("%s: a %T", name, v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}
