package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"
)

// fileDoors are the packages that may open files of this machine. Published
// files are opened through share and received through partial, so that no name
// from the network ever reaches the file system by another way.
var fileDoors = map[string]string{
	"lonja/internal/share":                 "opens published files to serve them",
	"lonja/internal/partial":               "receives files",
	"lonja/internal/unfinished":            "receives large files, and goes on with them after a crash",
	"lonja/internal/downloads":             "keeps the list of downloads, below the directory that it is given",
	"lonja/internal/incoming":              "receives the files of folders, many small ones at once",
	"lonja/internal/hashing":               "keeps the cache of hashes; what it hashes is handed in, open",
	"lonja/internal/outboards":             "keeps the hashes of files' pieces; what it hashes is handed in, open",
	"lonja/internal/tlstest":               "writes the certificates of tests, for programs that are not ours",
	"lonja/internal/sqlitestore":           "keeps the directory's data",
	"lonja/internal/config":                "reads the file of settings",
	"lonja/internal/private":               "keeps keys and what is trusted, for identity, authority and trust",
	"lonja/internal/datadir":               "claims the directory for it",
	"lonja/internal/natsstore/natscluster": "configures the servers that tests start",
	"lonja/internal/console":               "looks at names, to complete them for the person at the keyboard",
	"lonja/internal/localnet":              "makes the sample files of lonja up",
	"lonja/internal/bench":                 "writes its reports and reads /proc",
	"lonja/tools/comparetransfer":          "makes what it has programs bring over, and reads /proc",
	"lonja/cmd/lonja":                      "reads the files that flags name, and keeps the history",
}

// opening lists the functions of package os that open, make or list files.
var opening = []string{
	"Open", "OpenFile", "OpenRoot", "OpenInRoot", "Create", "CreateTemp", "ReadFile", "WriteFile",
	"ReadDir", "DirFS", "CopyFS", "NewFile", "Mkdir", "MkdirAll", "MkdirTemp", "Rename", "Link", "Symlink",
	"Remove", "RemoveAll", "Truncate",
}

func TestFilesHaveTwoDoors(t *testing.T) {
	looked := 0
	for _, p := range packages(t) {
		if _, may := fileDoors[p.ImportPath]; may || !slices.Contains(p.Imports, "os") {
			continue
		}
		for _, name := range p.GoFiles {
			looked++
			for _, used := range osFunctions(t, filepath.Join(p.Dir, name)) {
				if slices.Contains(opening, used) {
					t.Errorf("%s/%s uses os.%s: files are opened by share and partial", p.ImportPath, name, used)
				}
			}
		}
	}
	if looked == 0 {
		t.Error("no file was looked at")
	}
}

// osFunctions returns what a file takes from package os.
func osFunctions(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "os" {
				used = append(used, sel.Sel.Name)
			}
		}
		return true
	})
	return used
}
