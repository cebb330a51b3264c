// Package distro finds a kernel for the lab to boot: the host's, or the newest
// one of its distribution, unpacked without installing it. It knows Debian 12
// and 13 and Ubuntu 24.04.
package distro

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// Release is one release of a distribution.
type Release struct {
	ID      string // debian, ubuntu
	Version string // 12, 24.04
	Kernel  string // package that depends on the newest kernel
}

// Releases that are known. Debian 12 is tested.
var releases = []Release{
	{"debian", "12", "linux-image-amd64"},
	{"debian", "13", "linux-image-amd64"},
	{"ubuntu", "24.04", "linux-image-generic"},
}

// Detect reads os-release of the host.
func Detect() (Release, error) {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return Release{}, fmt.Errorf("find the distribution: %w", err)
	}
	defer f.Close()
	var id, version string
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		k, v, _ := strings.Cut(sc.Text(), "=")
		switch k {
		case "ID":
			id = strings.Trim(v, `"'`)
		case "VERSION_ID":
			version = strings.Trim(v, `"'`)
		}
	}
	return find(id, version)
}

func find(id, version string) (Release, error) {
	var known []string
	for _, r := range releases {
		if r.ID == id && r.Version == version {
			return r, nil
		}
		known = append(known, r.ID+" "+r.Version)
	}
	return Release{}, fmt.Errorf("distribution %s %s is not known; known are %s", id, version, strings.Join(known, ", "))
}
