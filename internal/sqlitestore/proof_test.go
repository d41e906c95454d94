package sqlitestore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/store"
)

// openFile opens the database of dir, past the store.
func openFile(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// change changes the database of dir, past the store, as SQL says. Its trees
// stay in order: a check of them finds nothing.
func change(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db := openFile(t, dir)
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(checkWhole(t.Context(), db), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// rootPage returns where the first page of a table or index is in the file,
// and how long it is.
func rootPage(t *testing.T, dir, name string) (offset, size int64) {
	t.Helper()
	db := openFile(t, dir)
	err := db.QueryRow("SELECT rootpage FROM sqlite_schema WHERE name = ?", name).Scan(&offset)
	err = errors.Join(err, db.QueryRow("PRAGMA page_size").Scan(&size), db.Close())
	if err != nil {
		t.Fatal(err)
	}
	return (offset - 1) * size, size
}

// overwrite overwrites a few bytes of the database of dir.
func overwrite(t *testing.T, dir string, offset int64, content string) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(dir, databaseFile), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt([]byte(content), offset)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// fill makes a directory of records, one of them written twice, that are more
// than what is checked before feeds are told.
func fill(t *testing.T) (dir string) {
	t.Helper()
	dir = fillSmall(t)
	s := mustOpen(t, dir)
	var batch []store.Change
	for i := range cacheSize/store.MaxValue + 1 {
		batch = append(batch, store.Change{Key: store.Key(fmt.Sprintf("long/%d", i)), Value: make([]byte, store.MaxValue)})
	}
	if _, err := s.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fillSmall makes one of the first three records only.
func fillSmall(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s := mustOpen(t, dir)
	put(t, s, "a", "1")
	old := put(t, s, "b", "2")
	put(t, s, "c", "3")
	if _, err := s.Apply(t.Context(), []store.Change{{Key: "b", Value: []byte("4"), Expect: old}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestMissingRecordsAreNoticed: each record that is there is whole, but they
// are not those that were written. No feed tells its beginning's end.
func TestMissingRecordsAreNoticed(t *testing.T) {
	sealed := func(key store.Key, value string) string {
		return fmt.Sprintf("x'%x'", store.Seal(nil, key, []byte(value)))
	}
	for name, harm := range map[string]func(t *testing.T, dir string){
		"one is gone":  func(t *testing.T, dir string) { change(t, dir, "DELETE FROM records WHERE key = 'c'") },
		"all are gone": func(t *testing.T, dir string) { change(t, dir, "DELETE FROM records") },
		"one more": func(t *testing.T, dir string) {
			change(t, dir, "INSERT INTO records VALUES (99, 'd', "+sealed("d", "5")+")")
		},
		"one is of before": func(t *testing.T, dir string) {
			change(t, dir, "UPDATE records SET rev = 2, value = "+sealed("b", "2")+" WHERE key = 'b'")
		},
		"one instead": func(t *testing.T, dir string) {
			change(t, dir, "UPDATE records SET key = 'd', value = "+sealed("d", "3")+" WHERE key = 'c'")
		},
		"a page is cut off": func(t *testing.T, dir string) {
			at, _ := rootPage(t, dir, "records")
			overwrite(t, dir, at+3, "\x00\x01")
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fill(t)
			harm(t, dir)
			s := mustOpen(t, dir)
			defer s.Close()
			err := s.Feed(t.Context(), func(e store.Event) error {
				if e.Key == "" {
					t.Error("the feed tells that it was all")
					return errEnough
				}
				return nil
			})
			if !errors.Is(err, store.ErrIncomplete) {
				t.Errorf("got error %v, want %v", err, store.ErrIncomplete)
			}
			_, applied := s.Apply(t.Context(), []store.Change{{Key: "z", Value: []byte("1")}})
			for what, err := range map[string]error{"feed": err, "apply": applied, "health": s.Health()} {
				if !errors.Is(err, lonja.Damaged) || !strings.Contains(err.Error(), "restore") {
					t.Errorf("%s: got error %v; want kind %v, and what to do", what, err, lonja.Damaged)
				}
			}
		})
	}
}

// TestDamagedProofIsNoticed, and not made anew of what is there.
func TestDamagedProofIsNoticed(t *testing.T) {
	for name, harm := range map[string]string{
		"a flipped bit":        "UPDATE latest SET proof = CAST(substr(proof, 1, 9) || x'42' || substr(proof, 11) AS BLOB)",
		"cut":                  "UPDATE latest SET proof = x'00'",
		"of another revision":  "UPDATE latest SET rev = rev + 1",
		"sealed, but too long": fmt.Sprintf("UPDATE latest SET proof = x'%x'", store.Seal(nil, proofKey, make([]byte, proofSize+1))),
	} {
		t.Run(name, func(t *testing.T) {
			dir := fill(t)
			change(t, dir, harm)
			if s, err := Open(t.Context(), dir); !errors.Is(err, lonja.Damaged) || !strings.Contains(err.Error(), "restore") {
				t.Errorf("got %v, %v; want kind %v, and what to do", s, err, lonja.Damaged)
			}
		})
	}
}

// TestProofFollowsTheRecords through changes of all sorts, those that do not
// happen among them.
func TestProofFollowsTheRecords(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	defer s.Close()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.Custom(func(t *rapid.T) store.Key {
			return store.Key(rapid.StringMatching("[ab]/[a-d]").Draw(t, "key"))
		})
		revs := map[store.Key]store.Rev{}
		read := func() (told proof) {
			rows, err := s.writer.Query("SELECT rev, key FROM records")
			if err != nil {
				t.Fatal(err)
			}
			if err := addRows(rows, func(rev store.Rev, key store.Key) { told.add(rev, key); revs[key] = rev }); err != nil {
				t.Fatal(err)
			}
			return told
		}
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			clear(revs)
			read()
			if rapid.IntRange(0, 4).Draw(t, "what") == 0 {
				if err := s.Purge(context.Background(), rapid.SampledFrom([]store.Key{"a/", "b", "c"}).Draw(t, "prefix")); err != nil {
					t.Fatal(err)
				}
			} else {
				var batch []store.Change
				for _, key := range rapid.SliceOfNDistinct(key, 1, 3, rapid.ID).Draw(t, "keys") {
					c := store.Change{Key: key, Expect: revs[key], Value: []byte("v")}
					if c.Expect != 0 && rapid.Bool().Draw(t, "delete") {
						c.Value = nil
					}
					if rapid.IntRange(0, 5).Draw(t, "conflict") == 0 {
						c.Expect += 1000
					}
					batch = append(batch, c)
				}
				if _, err := s.Apply(context.Background(), batch); err != nil && !errors.Is(err, lonja.Conflict) {
					t.Fatal(err)
				}
			}
			kept, known, err := readProof(context.Background(), s.writer)
			if want := s.proven(); kept != want || !known || err != nil {
				t.Fatalf("on disk is %v, %t, %v; want %v", kept, known, err, want)
			}
			if err := read().compare(kept); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestOlderData: a database without a proof is checked whole, then has one;
// versions that do not know of it leave it alone.
func TestOlderData(t *testing.T) {
	dir := fill(t)
	change(t, dir, "ALTER TABLE latest DROP COLUMN proof")
	for _, want := range []bool{true, false} {
		s, log := openLogged(t, dir)
		if checked := len(log) > 0; checked != want {
			t.Errorf("the log says that all is checked: %t, want %t", checked, want)
		}
		if got, err := records(t, s, 3); fmt.Sprint(got) != "[1 a=1 3 c=3 4 b=4]" || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db := openFile(t, dir)
	defer db.Close()
	if _, err := db.Exec("INSERT OR IGNORE INTO latest VALUES (1, 0)"); err == nil {
		t.Error("versions before would open it, and change it without its proof")
	}
}

// TestDamagedOlderData is refused: there is no proof to be trusted.
func TestDamagedOlderData(t *testing.T) {
	dir := fill(t)
	change(t, dir, "ALTER TABLE latest DROP COLUMN proof")
	damageIndex(t, dir)
	if s, err := Open(t.Context(), dir); !errors.Is(err, lonja.Damaged) || err.Error() != lonja.Printable(err.Error()) {
		t.Errorf("got %v, %q; want kind %v, in one line", s, err, lonja.Damaged)
	}
}

func FuzzProof(f *testing.F) {
	f.Add(proof{rev: 7, records: 3, sum: 1 << 63}.seal())
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		p, err := parseProof(sealed)
		switch {
		case err == nil && !bytes.Equal(p.seal(), sealed):
			t.Errorf("%v is sealed otherwise", p)
		case err != nil && !errors.Is(err, lonja.Damaged):
			t.Errorf("got error %v, want kind %v", err, lonja.Damaged)
		}
	})
}

// BenchmarkProof is what the proof adds to a transaction of one new record.
func BenchmarkProof(b *testing.B) {
	b.ReportAllocs()
	key := store.Key("f/" + strings.Repeat("0123456789", 8))
	var p proof
	for b.Loop() {
		p.rev++
		p.add(p.rev, key)
		p.seal()
	}
}
