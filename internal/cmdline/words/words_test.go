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

// TestReadWordsAreInTheTable looks at the code that runs in the ramdisk: a
// word that it reads is in the table, and not as one that is not carried out.
func TestReadWordsAreInTheTable(t *testing.T) {
	all := All()
	read := 0
	err := filepath.WalkDir("../../run", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Logf("%s does not parse at this moment: %v", path, err)
			return nil
		}
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			key, err := strconv.Unquote(lit.Value)
			if err != nil || !strings.Contains(key, ".") || strings.ContainsAny(key, " =%/*:") || strings.HasSuffix(key, ".") {
				return true
			}
			d, _, _, known := Find(all, key)
			ours := strings.HasPrefix(key, "rd.") || strings.HasPrefix(key, "bareroot.")
			switch {
			case !known && ours:
				t.Errorf("%s reads %s, which is not in the table of words", path, key)
			case known && d.Status != Works && d.Status != Elsewhere && ours:
				t.Errorf("%s reads %s, which the table says is %q", path, key, d.Status)
			case known && ours:
				read++
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 20 {
		t.Errorf("only %d words are read in the ramdisk; does this test look in the right place?", read)
	}
}
