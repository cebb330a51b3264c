package words

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestWordsThatWorkAreRead is the other way round: a word that the table says
// is carried out stands in the code that runs in the ramdisk, or in a rule of
// a parser.
func TestWordsThatWorkAreRead(t *testing.T) {
	read := map[string]bool{}
	for _, dir := range []string{"../../run", ".."} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir() && e.Name() == "words":
				return fs.SkipDir
			case e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || e.Name() == "known.go":
				return nil
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Logf("%s does not parse at this moment: %v", path, err)
				return nil
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if s, err := strconv.Unquote(lit.Value); err == nil {
						read[s] = true
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range All() {
		if d.Status == Works && d.Instead == "" && !read[d.Name] {
			t.Errorf("%s: the table says that it works, and nothing reads it", d.Name)
		}
	}
}
