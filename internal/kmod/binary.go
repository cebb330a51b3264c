package kmod

import (
	"encoding/binary"
	"strings"
)

// Binary are the indexes that kmod's own library reads (modules.dep.bin and the
// like), made of the text ones. It has no other way in; init needs none of them.
//
// The format is that of libkmod's index.h: a tree of shared beginnings, its
// nodes after their children, the root's place in the head. Numbers are
// big-endian; an offset's upper bits say what a node has.
func Binary(text map[string][]byte) map[string][]byte {
	dep, alias, builtin := &trie{}, &trie{}, &trie{}
	i := uint32(0)
	for line := range strings.Lines(string(text["modules.dep"])) {
		line = strings.TrimSpace(line)
		if path, _, ok := strings.Cut(line, ":"); ok {
			dep.add(NameOf(path), value{i, line})
			i++
		}
	}
	i = 0
	for line := range strings.Lines(string(text["modules.alias"])) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" {
			alias.add(underscores(f[1]), value{i, Normalize(f[2])})
			i++
		}
	}
	for line := range strings.Lines(string(text["modules.builtin"])) {
		if line = strings.TrimSpace(line); line != "" {
			builtin.add(NameOf(line), value{0, ""})
		}
	}
	return map[string][]byte{"modules.dep.bin": dep.bytes(), "modules.alias.bin": alias.bytes(), "modules.builtin.bin": builtin.bytes()}
}

// underscores is Normalize for patterns: what is in brackets stays.
func underscores(pattern string) string {
	b := []byte(pattern)
	in := false
	for i, c := range b {
		switch {
		case c == '[':
			in = true
		case c == ']':
			in = false
		case c == '-' && !in:
			b[i] = '_'
		}
	}
	return string(b)
}

const (
	trieMagic   = 0xb007f457
	trieVersion = 2<<16 | 1
	hasPrefix   = 0x80000000
	hasValues   = 0x40000000
	hasChildren = 0x20000000
)

// trie is a node: what all its keys go on with, then their next byte.
type trie struct {
	prefix   string
	children [128]*trie
	values   []value
	used     bool
}

type value struct {
	priority uint32
	text     string
}

// add puts a key in; one with bytes beyond ASCII, which the format cannot hold,
// stays out.
func (t *trie) add(key string, v value) {
	for i := range len(key) {
		if key[i] == 0 || key[i] >= 128 {
			return
		}
	}
	for {
		if !t.used {
			t.used, t.prefix, t.values = true, key, []value{v}
			return
		}
		n := 0
		for n < len(key) && n < len(t.prefix) && key[n] == t.prefix[n] {
			n++
		}
		if n < len(t.prefix) { // part the node
			below := *t
			below.prefix = t.prefix[n+1:]
			c := t.prefix[n]
			*t = trie{prefix: t.prefix[:n], used: true}
			t.children[c] = &below
		}
		if n == len(key) {
			t.values = append(t.values, v)
			return
		}
		if t.children[key[n]] == nil {
			t.children[key[n]] = &trie{}
		}
		t, key = t.children[key[n]], key[n+1:]
	}
}

func (t *trie) bytes() []byte {
	out := binary.BigEndian.AppendUint32(nil, trieMagic)
	out = binary.BigEndian.AppendUint32(out, trieVersion)
	out = append(out, 0, 0, 0, 0)
	out, root := t.write(out)
	binary.BigEndian.PutUint32(out[8:], root)
	return out
}

// write appends the node and what is below it, and says where the node is.
func (t *trie) write(out []byte) ([]byte, uint32) {
	first, last := 128, -1
	var at [128]uint32
	for c, child := range t.children {
		if child != nil {
			out, at[c] = child.write(out)
			first, last = min(first, c), c
		}
	}
	place := uint32(len(out))
	if t.prefix != "" {
		place |= hasPrefix
		out = append(append(out, t.prefix...), 0)
	}
	if last >= 0 {
		place |= hasChildren
		out = append(out, byte(first), byte(last))
		for c := first; c <= last; c++ {
			out = binary.BigEndian.AppendUint32(out, at[c])
		}
	}
	if len(t.values) > 0 {
		place |= hasValues
		out = binary.BigEndian.AppendUint32(out, uint32(len(t.values)))
		for _, v := range t.values {
			out = binary.BigEndian.AppendUint32(out, v.priority)
			out = append(append(out, v.text...), 0)
		}
	}
	return out, place
}
