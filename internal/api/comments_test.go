package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The comments of the definition are the documentation of lonja.v1. What is generated
// from it carries them along; TestGenerated proves that it is of the definition.

// bare returns what a generated file says nothing about: messages and enumerations,
// their fields and values, and methods.
func bare(t *testing.T, name string, source any) (all []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	said := func(what string, comments ...*ast.CommentGroup) {
		if !slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool { return strings.TrimSpace(c.Text()) != "" }) {
			all = append(all, what)
		}
	}
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				if kind, ok := spec.Type.(*ast.Ident); ok && decl.Tok == token.CONST && strings.HasPrefix(spec.Names[0].Name, kind.Name+"_") {
					said(spec.Names[0].Name, spec.Doc, spec.Comment)
				}
			case *ast.TypeSpec:
				bareType(spec, decl.Doc, said)
			}
		}
	}
	return all
}

func bareType(spec *ast.TypeSpec, doc *ast.CommentGroup, said func(string, ...*ast.CommentGroup)) {
	name := spec.Name.Name
	switch kind := spec.Type.(type) {
	case *ast.Ident:
		if kind.Name == "int32" {
			said(name, doc, spec.Comment)
		}
	case *ast.StructType:
		fields := slices.DeleteFunc(slices.Clone(kind.Fields.List), func(f *ast.Field) bool { return !f.Names[0].IsExported() })
		if len(fields) < len(kind.Fields.List) { // the rest is what every message has
			said(name, doc, spec.Comment)
		}
		for _, f := range fields {
			said(name+"."+f.Names[0].Name, f.Doc, f.Comment)
		}
	case *ast.InterfaceType:
		if name != "DirectoryClient" {
			return
		}
		for _, m := range kind.Methods.List {
			said(m.Names[0].Name, m.Doc, m.Comment)
		}
	}
}

// TestEverythingIsExplained: each message, field, enumeration, value and method of
// lonja.v1 says what it means.
func TestEverythingIsExplained(t *testing.T) {
	for _, name := range []string{"words.pb.go", "directory.pb.go", filepath.Join("apiconnect", "directory.connect.go")} {
		if missing := bare(t, name, nil); len(missing) > 0 {
			t.Errorf("%s: no comment in proto/lonja/v1 says what these mean: %s", name, strings.Join(missing, ", "))
		}
	}
}

// TestWhatIsNotExplainedIsFound by what looks for it.
func TestWhatIsNotExplainedIsFound(t *testing.T) {
	got := bare(t, "x.pb.go", `package api

type Mood int32

const (
	Mood_MOOD_NONE Mood = 0
	Mood_MOOD_GOOD Mood = 1 // all is well
)

type Letter struct {
	state int
	// Who has written it.
	From string
	To   string // whose it is
	Text string
}

// An envelope.
type Envelope struct {
	state int
	Stamp string
}

type DirectoryClient interface {
	Send()
	// Takes one.
	Take()
}
`)
	want := []string{"Mood", "Mood_MOOD_NONE", "Letter", "Letter.Text", "Envelope.Stamp", "Send"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
