package dracut

import (
	"os"
	"path/filepath"
	"strings"
)

// tags are the folders of /dev/disk that root= has words for.
var tags = map[string]string{"by-uuid": "UUID=", "by-label": "LABEL=", "by-partuuid": "PARTUUID=", "by-partlabel": "PARTLABEL="}

// byPolicy names the root's device as --persistent-policy wants it: by a folder
// of /dev/disk, or mapper. What has no such name keeps the one that it has.
func byPolicy(words []string, policy, dev string) []string {
	folder := filepath.Join(dev, "disk", policy)
	if policy == "mapper" {
		folder = filepath.Join(dev, "mapper")
	}
	var out []string
	for _, w := range words {
		if spec, ok := strings.CutPrefix(w, "root="); ok {
			if device := deviceOf(spec, dev); device != "" {
				if name := nameIn(folder, device); name != "" {
					w = "root=" + folder + "/" + name
					if tags[policy] != "" && !strings.Contains(name, `\x`) {
						w = "root=" + tags[policy] + name
					}
				}
			}
		}
		out = append(out, w)
	}
	return out
}

// deviceOf is the device that a root= word means now; "" if there is none.
func deviceOf(spec, dev string) string {
	name := spec
	for folder, tag := range tags {
		if v, ok := strings.CutPrefix(spec, tag); ok {
			name = filepath.Join(dev, "disk", folder, v)
		}
	}
	if !filepath.IsAbs(name) {
		return ""
	}
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return ""
	}
	return real
}

// nameIn finds a device's name in a folder of links.
func nameIn(folder, device string) string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		if real, err := filepath.EvalSymlinks(filepath.Join(folder, e.Name())); err == nil && real == device {
			return e.Name()
		}
	}
	return ""
}
