// Package arch states who may import whom in this module. Its test holds the
// tree to the rules of docs/architecture.md; the rules are here as data, so
// that a change of them is seen in review.
package arch

import (
	"fmt"
	"slices"
	"strings"
)

// Graph is the direct imports of each package, by import path.
type Graph map[string][]string

// Rule is one sentence about imports. A pattern is an import path, and stands
// for the packages below it too; "std" is the standard library, "*" is all.
type Rule struct {
	Why    string
	From   []string // packages that the rule is about
	Except []string // of those, these not
	Not    []string // what they must not import
	But    []string // of that, this they may
	Deep   bool     // by any path, not only directly
}

// Wings of the module; what two of them need is ground.
var wings = []string{"bareroot/internal/build", "bareroot/internal/serve", "bareroot/internal/run", "bareroot/internal/lab"}

// heavy is what a program inside a ramdisk never links.
var heavy = []string{
	"github.com/spf13/cobra", "github.com/spf13/pflag", "go.yaml.in/yaml", "gopkg.in/yaml.v3", "database/sql", "modernc.org", "github.com/pressly/goose",
	"text/template", "html/template", "github.com/danielgtaylor/huma", "github.com/stmcginnis/gofish", "github.com/vbauerster/mpb",
	"bareroot/internal/build", "bareroot/internal/serve", "bareroot/internal/lab", "bareroot/internal/hosttool",
}

// light is what of heavy is let pass: interfaces only, which the UUID library
// behind the SMBIOS reader implements.
var light = []string{"database/sql/driver"}

// Rules are all rules.
func Rules() []Rule {
	rules := []Rule{
		{Why: "outsiders import api; it is the standard library and nothing else", From: []string{"bareroot/api"}, Not: []string{"*"}, But: []string{"std", "bareroot/api"}},
		{Why: "outsiders import client; it is the standard library and api", From: []string{"bareroot/client"}, Not: []string{"*"}, But: []string{"std", "bareroot/api", "bareroot/client"}},
		{Why: "the ground is below the wings", From: []string{"bareroot/internal"}, Except: wings, Not: append([]string{"bareroot/cmd"}, wings...)},
		{Why: "init speaks no HTTP: the agent does, and a boot from a local disk unpacks neither", From: []string{"bareroot/cmd/bareroot-init"}, Not: []string{"net/http", "crypto/tls", "crypto/x509", "bareroot/client", "bareroot/internal/stream", "bareroot/internal/run/courier"}, Deep: true},
		{Why: "init is small", From: []string{"bareroot/cmd/bareroot-init"}, Not: heavy, But: light, Deep: true},
		{Why: "init never links the agent's part", From: []string{"bareroot/cmd/bareroot-init"}, Not: []string{"bareroot/internal/run/agent", "bareroot/internal/run/role", "bareroot/internal/run/dialect", "bareroot/internal/facts", "golang.org/x/crypto/ssh"}, Deep: true},
		{Why: "the agent is at most 14 MiB", From: []string{"bareroot/cmd/bareroot-agent"}, Not: heavy, But: light, Deep: true},
		{Why: "a role does not know the protocol that the order came by", From: []string{"bareroot/internal/run/role"}, Not: []string{"bareroot/internal/run/dialect", "bareroot/internal/run/agent"}, Deep: true},
		{Why: "a dialect does not know what becomes of its orders", From: []string{"bareroot/internal/run/dialect"}, Not: []string{"bareroot/internal/run/role", "bareroot/internal/run/agent"}, Deep: true},
		{Why: "the lab is a client like any other", From: []string{"bareroot/internal/lab"}, Not: []string{"bareroot/cmd"}},
	}
	for _, w := range wings {
		others := slices.DeleteFunc(slices.Clone(wings), func(x string) bool { return x == w })
		rules = append(rules, Rule{Why: "wings do not import each other", From: []string{w}, Not: others, Deep: true})
	}
	return rules
}

// Broken lists where g breaks r: "a imports b imports c: why".
func (r Rule) Broken(g Graph) []string {
	var out []string
	for from := range g {
		if !matches(r.From, from) || matches(r.Except, from) {
			continue
		}
		for _, path := range reach(g, from, r.Deep) {
			if last := path[len(path)-1]; matches(r.Not, last) && !matches(r.But, last) {
				out = append(out, fmt.Sprintf("%s: %s", strings.Join(path, " imports "), r.Why))
			}
		}
	}
	slices.Sort(out)
	return out
}

// reach returns a shortest path from a package to each that it imports.
func reach(g Graph, from string, deep bool) [][]string {
	var out [][]string
	seen := map[string]bool{from: true}
	for todo := [][]string{{from}}; len(todo) > 0; todo = todo[1:] {
		path := todo[0]
		for _, to := range g[path[len(path)-1]] {
			if seen[to] {
				continue
			}
			seen[to] = true
			next := append(slices.Clone(path), to)
			out = append(out, next)
			if deep {
				todo = append(todo, next)
			}
		}
	}
	return out
}

func matches(patterns []string, path string) bool {
	first, _, _ := strings.Cut(path, "/")
	std := !strings.Contains(first, ".") && first != "bareroot"
	return slices.ContainsFunc(patterns, func(p string) bool {
		return p == "*" || p == "std" && std || p == path || strings.HasPrefix(path, p+"/")
	})
}
