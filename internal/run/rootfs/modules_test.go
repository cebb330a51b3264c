package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bareroot/internal/cmdline"
)

func TestCheckModules(t *testing.T) {
	tests := map[string]struct {
		files   []string // ending in "/": folders; "A -> B": a symlink
		line    string
		says    string // of the notice or error; "" = neither
		refused bool
	}{
		"has them":                {files: []string{"lib/modules/6.1.0-9/modules.dep"}},
		"merged /usr":             {files: []string{"usr/lib/modules/6.1.0-9/modules.dep", "lib -> /usr/lib"}},
		"newer kernel, warned":    {files: []string{"lib/modules/6.1.0-8/modules.dep", "lib/modules/6.1.0-7/kernel/"}, says: "no modules for the running kernel 6.1.0-9, it has them for 6.1.0-7, 6.1.0-8;"},
		"newer kernel, refused":   {files: []string{"lib/modules/6.1.0-8/modules.dep"}, line: "bareroot.modules=refuse", says: "6.1.0-8", refused: true},
		"newer kernel, ignored":   {files: []string{"lib/modules/6.1.0-8/modules.dep"}, line: "bareroot.modules=ignore"},
		"odd policy warns":        {files: []string{"lib/modules/6.1.0-8/modules.dep"}, line: "bareroot.modules=reboot", says: "6.1.0-8"},
		"last policy counts":      {files: []string{"lib/modules/6.1.0-8/modules.dep"}, line: "bareroot.modules=refuse bareroot.modules=ignore"},
		"left over of a removal":  {files: []string{"lib/modules/6.1.0-9/extra/", "lib/modules/6.1.0-8/modules.dep"}, says: "it has them for 6.1.0-8;"},
		"none":                    {files: []string{"lib/x"}, says: "no kernel modules at all"},
		"none, refused":           {files: []string{"lib/x"}, line: "bareroot.modules=refuse", says: "no kernel modules at all", refused: true},
		"no /lib":                 {files: []string{"sbin/init"}},
		"no /lib, refused":        {files: []string{"sbin/init"}, line: "bareroot.modules=refuse", says: "cannot be told", refused: true},
		"/usr elsewhere":          {files: []string{"usr/", "lib -> usr/lib"}},
		"link out of the root":    {files: []string{"lib/x", "lib/modules -> /../../../../lib/modules"}, says: "no kernel modules at all"},
		"link to nowhere, strict": {files: []string{"lib -> /lib"}, line: "bareroot.modules=refuse", says: "cannot be told", refused: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, f := range tc.files {
				name, to, isLink := strings.Cut(f, " -> ")
				p := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					t.Fatal(err)
				}
				var err error
				switch {
				case isLink:
					err = os.Symlink(to, p)
				case strings.HasSuffix(f, "/"):
					err = os.MkdirAll(p, 0o755)
				default:
					err = os.WriteFile(p, nil, 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			notice, err := CheckModules(root, "6.1.0-9", cmdline.Parse(tc.line, "t"))
			if errors.Is(err, ErrModules) != tc.refused || (err != nil) != tc.refused {
				t.Errorf("error %v", err)
			}
			got := notice
			if err != nil {
				got += err.Error()
			}
			if tc.says == "" && got != "" || !strings.Contains(got, tc.says) {
				t.Errorf("%q, want %q", got, tc.says)
			}
		})
	}
}
