package owner

import (
	"slices"
	"strings"
)

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

// versions are what dpkg's status file says.
type versions struct {
	native string            // architecture of dpkg itself
	of     map[string]string // by "name:arch", and by "name" (the first one)
}

// parseStatus reads the stanzas of a status file, see deb-src-control(5); other
// fields and lines that continue one are passed over.
func parseStatus(text string) versions {
	v := versions{of: map[string]string{}}
	var name, arch, version string
	flush := func() {
		if name != "" && version != "" {
			v.of[name+":"+arch] = version
			if _, ok := v.of[name]; !ok {
				v.of[name] = version
			}
			if name == "dpkg" {
				v.native = arch
			}
		}
		name, arch, version = "", "", ""
	}
	for line := range strings.Lines(text) {
		if line == "\n" {
			flush()
			continue
		}
		switch field, value, _ := strings.Cut(line, ":"); field {
		case "Package":
			name = strings.TrimSpace(value)
		case "Architecture":
			arch = strings.TrimSpace(value)
		case "Version":
			version = strings.TrimSpace(value)
		}
	}
	flush()
	return v
}

// describe makes "name version" of the name of a list file ("libc6:amd64").
func (v versions) describe(list string) string {
	version := v.of[list]
	name, arch, _ := strings.Cut(list, ":")
	if arch != "" && arch == v.native {
		list = name
	}
	if version == "" {
		return list
	}
	return list + " " + version
}

// diversion is a file that one package moves away from under others.
type diversion struct {
	to string
	by string // the package whose file stays at the old place; ":" is the administrator
}

// parseDiversions reads dpkg's diversions: three lines each, from, to, package.
func parseDiversions(text string) map[string]diversion {
	out := map[string]diversion{}
	lines := strings.Split(text, "\n")
	for ; len(lines) >= 3; lines = lines[3:] {
		if from, to := lines[0], lines[1]; strings.HasPrefix(from, "/") && strings.HasPrefix(to, "/") {
			out[from] = diversion{to, lines[2]}
		}
	}
	return out
}
