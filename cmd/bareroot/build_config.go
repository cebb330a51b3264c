package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"bareroot/internal/build"
)

// buildConfig is where the settings of all builds on a machine are.
const buildConfig = "/etc/bareroot/build.yaml"

// setting is one that was taken from the file: its option, where it is, and what
// it says.
type setting struct {
	option, at string
	values     []string
}

// blame puts the place in the file before an error that one of its settings is
// the cause of: the option's name is in it, or, where it names none, a value.
func blame(from []setting, err error) error {
	text := err.Error()
	for _, s := range from {
		named := strings.Contains(text, "--"+s.option+" ")
		if !named && !strings.Contains(text, "--") {
			named = slices.ContainsFunc(s.values, func(v string) bool { return len(v) > 2 && says(text, v) })
		}
		if named {
			return fmt.Errorf("%s: %w", s.at, err)
		}
	}
	return err
}

// says tells whether a text has a value as a word of its own, or as the
// beginning of a path.
func says(text, value string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], value)
		if i < 0 {
			return false
		}
		i += at
		at = i + len(value)
		before, after := i == 0 || strings.IndexByte(" \"(=", text[i-1]) >= 0, at == len(text) || strings.IndexByte(" \",:;)/", text[at]) >= 0
		if before && after {
			return true
		}
	}
}

// yamlError is a YAML parser's error with the line, which it does not name when
// it is the first. It counts some errors from the line before.
func yamlError(path string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if line, rest, ok := strings.Cut(strings.TrimPrefix(text, "line "), ": "); ok && strings.HasPrefix(text, "line ") {
		return fmt.Errorf("%s: this is not YAML near line %s: %s", path, line, rest)
	}
	return fmt.Errorf("%s: this is not YAML near line 1: %s", path, text)
}

// readBuildConfig takes options from a file. Its keys are the long options'
// names; an option of the command line wins over the file as a whole. The
// default file may be absent.
func readBuildConfig(path string, given bool, f *pflag.FlagSet, o *build.Options) (from []setting, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !given {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read build settings: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, yamlError(path, err)
	}
	if len(doc.Content) == 0 {
		return nil, nil // only comments
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: this must be a list of \"option: value\"", path, top.Line)
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		at := fmt.Sprintf("%s:%d: %s", path, key.Line, key.Value)
		if line := seen[key.Value]; line != 0 {
			return nil, fmt.Errorf("%s is there twice, first on line %d", at, line)
		}
		seen[key.Value] = key.Line
		flag := f.Lookup(key.Value)
		if flag == nil || notInConfig[key.Value] {
			return nil, fmt.Errorf("%s: there is no such setting; settings are the long options of \"bareroot build\" that say what is built", at)
		}
		if flag.Changed {
			continue
		}
		if err := setFromConfig(flag, value, o); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		from = append(from, setting{key.Value, fmt.Sprintf("%s:%d", path, key.Line), scalars(value)})
	}
	return from, nil
}

// scalars are the plain values in a value.
func scalars(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		return strings.Fields(n.Value)
	}
	var out []string
	for _, c := range n.Content {
		out = append(out, scalars(c)...)
	}
	return out
}

// notInConfig are the options that belong to one call.
var notInConfig = map[string]bool{
	"output": true, "force": true, "json": true, "explain": true, "config": true, "help": true, "list-features": true,
	"server": true, "token-file": true,
}

func setFromConfig(flag *pflag.Flag, value *yaml.Node, o *build.Options) error {
	if flag.Name == "include" || flag.Name == "hook" {
		return pairsFromConfig(flag.Name, value, o)
	}
	list := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		switch flag.Value.Type() {
		case "WORDS", "stringArray":
			list = value.Content
		default:
			return errors.New("it takes one value, not a list")
		}
	}
	for _, v := range list {
		if v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
			return fmt.Errorf("line %d is no plain value", v.Line)
		}
		if err := flag.Value.Set(v.Value); err != nil {
			return fmt.Errorf("%q: %w", v.Value, err)
		}
	}
	return nil
}

// pairsFromConfig reads lists like [[SRC, DST], [SRC, DST]].
func pairsFromConfig(name string, value *yaml.Node, o *build.Options) error {
	var list [][]string
	if err := value.Decode(&list); err != nil {
		return errors.New("it is a list of pairs, [[A, B], [C, D]]")
	}
	for _, p := range list {
		if len(p) != 2 {
			return fmt.Errorf("%q is no pair", p)
		}
		if name == "include" {
			o.Include = append(o.Include, build.Include{Src: p[0], Dst: p[1]})
		} else {
			o.Hooks = append(o.Hooks, build.Hook{Stage: p[0], File: p[1]})
		}
	}
	return nil
}
