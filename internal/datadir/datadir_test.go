package datadir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestClaim(t *testing.T) {
	for name, c := range map[string]struct{ file, content, kind, says string }{
		"new":                  {"", "", "local", ""},
		"claimed before":       {KindFile, "local\n", "local", ""},
		"of another kind":      {KindFile, "cluster:main\n", "local", `a "cluster:main" store`},
		"of another cluster":   {KindFile, "cluster:main\n", "cluster:other", `a "cluster:main" store`},
		"a mark that was cut":  {KindFile, "loc", "local", `a "loc" store`},
		"data without a mark":  {"data", "", "local", "not a whole data directory"},
		"other files, unknown": {"notes", "", "local", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "made", "if need be")
			if c.file != "" {
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d, err := Claim(dir, c.kind, "data")
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("got error %v, want one that says %q", err, c.says)
				}
				if found, _ := os.ReadFile(filepath.Join(dir, KindFile)); c.file == KindFile && string(found) != c.content {
					t.Errorf("the mark is %q now", found)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if found, _ := d.Read(KindFile); found != "" && c.file != KindFile {
				t.Errorf("got mark %q before there was a store", found)
			}
			if err := d.Mark(); err != nil {
				t.Error(err)
			}
			if found, err := d.Read(KindFile); found != c.kind+"\n" || err != nil {
				t.Errorf("got mark %q, %v", found, err)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	d, err := Claim(dir, "local")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Claim(dir, "local"); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got error %v, want one that says it is in use", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Claim(dir, "local")
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestWrite(t *testing.T) {
	d, err := Claim(t.TempDir(), "local")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, content := range []string{"first, and long", "second"} {
		if err := d.Write("file", content); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Read("file"); got != content || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, content)
		}
	}
}
