// Package archtest holds the layers of the module: which package may import
// which, and what the lowest ones may not touch at all. docs/architecture.md
// shows the same table to people.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layers lists every package of the module. A package imports only packages of
// lower layers; packages of one layer do not know each other.
var layers = [][]string{
	0: {
		"lonja",
	},
	1: {
		"lonja/internal/api",
		"lonja/internal/classic",
		"lonja/internal/fairshare",
		"lonja/internal/fileapi",
		"lonja/internal/folder",
		"lonja/internal/index",
		"lonja/internal/inode",
		"lonja/internal/limits",
		"lonja/internal/link",
		"lonja/internal/oncrpc",
		"lonja/internal/operator",
		"lonja/internal/meter",
		"lonja/internal/picker",
		"lonja/internal/presence",
		"lonja/internal/shell",
		"lonja/internal/soap",
		"lonja/internal/statement",
		"lonja/internal/store",
		"lonja/internal/tree",
	},
	2: {
		"lonja/internal/api/apiconnect",
		"lonja/internal/config",
		"lonja/internal/datadir",
		"lonja/internal/dirtest",
		"lonja/internal/firstbyte",
		"lonja/internal/frames",
		"lonja/internal/hashing",
		"lonja/internal/incoming",
		"lonja/internal/natlab",
		"lonja/internal/natsstore/natscluster",
		"lonja/internal/pacing",
		"lonja/internal/partial",
		"lonja/internal/peercert",
		"lonja/internal/portmap",
		"lonja/internal/private",
		"lonja/internal/reach",
		"lonja/internal/share",
		"lonja/internal/signatures",
		"lonja/internal/store/hub",
		"lonja/internal/telemetry",
		"lonja/internal/tlstest",
		"lonja/internal/transport",
		"lonja/internal/unfinished",
	},
	3: {
		"lonja/internal/authority",
		"lonja/internal/downloads",
		"lonja/internal/fileclient",
		"lonja/internal/identity",
		"lonja/internal/memstore",
		"lonja/internal/natsstore",
		"lonja/internal/outboards",
		"lonja/internal/sqlitestore",
		"lonja/internal/storetest",
		"lonja/internal/trust",
	},
	4: {
		"lonja/internal/admin",
		"lonja/internal/apiclient",
		"lonja/internal/apiserver",
		"lonja/internal/datetime",
		"lonja/internal/dirclient",
		"lonja/internal/directory",
		"lonja/internal/dirserver",
		"lonja/internal/download",
		"lonja/internal/fileserver",
		"lonja/internal/folderfetch",
		"lonja/internal/oplog",
		"lonja/internal/probe",
		"lonja/internal/session",
		"lonja/internal/swarm",
		"lonja/internal/upload",
	},
	5: {
		"lonja/internal/apiserver/apitest",
		"lonja/internal/directory/directorytest",
		"lonja/internal/node",
	},
	6: {
		"lonja/internal/console",
		"lonja/internal/localnet",
	},
	7: {
		"lonja/internal/bench",
	},
	8: {
		"lonja/cmd/lonja",
		"lonja/tools/comparetransfer",
	},
}

// testOnly packages hold tests and nothing else; they may import anything.
var testOnly = []string{"lonja/internal/archtest", "lonja/packaging", "lonja/test/attack", "lonja/test/interop"}

// pureImports is what layers 0 and 1 must not import: they do no input or
// output, start nothing and know no clock.
var pureImports = []string{"net", "net/http", "os", "os/exec", "syscall", "time", "sync", "log", "embed"}

// pureExceptions are the exceptions to pureImports, with their reasons.
var pureExceptions = map[string][]string{
	"lonja":                    {"net"},          // the type net.Error, to know the network's errors by
	"lonja/internal/fairshare": {"time"},         // the type of lengths; it reads no clock
	"lonja/internal/picker":    {"time"},         // the type of lengths; it reads no clock
	"lonja/internal/presence":  {"time"},         // the types of instants and lengths; it reads no clock
	"lonja/internal/api":       {"sync"},         // generated: descriptors are made once
	"lonja/internal/soap":      {"embed"},        // the WSDL's text, compiled in
	"lonja/internal/inode":     {"syscall"},      // the type of what the system has told of a file
	"lonja/internal/limits":    {"sync", "time"}, // all connections are counted there; it is told the time
	"lonja/internal/meter":     {"sync", "time"}, // many connections count there; it is told the time
}

type goPackage struct {
	ImportPath string
	Dir        string
	Doc        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Imports,GoFiles", "lonja/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func layerOf(path string) int {
	return slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, path) })
}

func TestEveryPackageHasALayerAndAComment(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		if slices.Contains(testOnly, p.ImportPath) {
			if len(p.GoFiles) > 0 {
				t.Errorf("%s is for tests but has %v", p.ImportPath, p.GoFiles)
			}
			continue
		}
		seen++
		if layerOf(p.ImportPath) < 0 {
			t.Errorf("%s is in no layer: add it to the table here and in docs/architecture.md", p.ImportPath)
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
	if want := len(slices.Concat(layers...)); seen != want {
		t.Errorf("the table lists %d packages, the module has %d", want, seen)
	}
}

func TestImportsGoDown(t *testing.T) {
	for _, p := range packages(t) {
		own := layerOf(p.ImportPath)
		if own < 0 {
			continue
		}
		for _, imported := range p.Imports {
			if other := layerOf(imported); other >= own {
				t.Errorf("%s (layer %d) imports %s (layer %d)", p.ImportPath, own, imported, other)
			}
		}
	}
}

func TestLowLayersArePure(t *testing.T) {
	for _, p := range packages(t) {
		if layer := layerOf(p.ImportPath); layer < 0 || layer > 1 {
			continue
		}
		for _, imported := range p.Imports {
			if slices.Contains(pureImports, imported) && !slices.Contains(pureExceptions[p.ImportPath], imported) {
				t.Errorf("%s imports %s: rules and codecs do no input or output and are told the time", p.ImportPath, imported)
			}
		}
	}
}
