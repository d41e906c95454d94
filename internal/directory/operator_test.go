package directory

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/index"
	"lonja/internal/memstore"
	"lonja/internal/operator"
	"lonja/internal/store"
)

func open(t *testing.T, s store.Store) *Directory {
	t.Helper()
	d, err := Open(t.Context(), Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// populated returns a directory with some users and files, and odd names.
func populated(t *testing.T) *Directory {
	d := open(t, memstore.New())
	ctx := t.Context()
	for _, user := range []lonja.UserName{"ana", "lu\xffis", "eva"} {
		for _, err := range []error{
			d.Register(ctx, user), d.Connect(ctx, user, somewhere),
			d.Publish(ctx, user, lonja.Listing{Name: "/first", Description: "said", Size: lonja.UnknownSize}),
			d.Publish(ctx, user, lonja.Listing{Name: "/sec\xfeond", Size: 7}),
			d.Publish(ctx, user, lonja.Listing{Name: "/empty", Size: 0}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return d
}

// everything is what can be seen of a directory's accounts, the oldest first.
func everything(t *testing.T, d *Directory) string {
	t.Helper()
	var all []index.Account
	for a, err := range d.accounts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b index.Account) int { return int(int64(a.Incarnation) - int64(b.Incarnation)) })
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "%q %v\n", a.User, d.index.Listings(a.User))
	}
	return b.String()
}

func export(t *testing.T, d *Directory) string {
	t.Helper()
	var b bytes.Buffer
	if err := d.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestExportAndImport(t *testing.T) {
	from, to := populated(t), open(t, memstore.New())
	text := export(t, from)
	report, err := to.Import(t.Context(), strings.NewReader(text))
	if want := (operator.ImportReport{Accounts: 3, Publications: 9}); err != nil || report != want {
		t.Fatalf("got %+v, %v; want %+v", report, err, want)
	}
	if got, want := everything(t, to), everything(t, from); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	report, err = to.Import(t.Context(), strings.NewReader(text))
	if want := (operator.ImportReport{Skipped: 12}); err != nil || report != want {
		t.Errorf("again: got %+v, %v; want %+v", report, err, want)
	}
}

func TestImportRefuses(t *testing.T) {
	const header = `{"lonja":{"export":1}}` + "\n"
	const ana = `{"account":{"user":"ana"}}` + "\n"
	const end = `{"end":{"accounts":1,"publications":0}}` + "\n"
	for name, c := range map[string]struct {
		text     string
		line     string
		accounts int
	}{
		"nothing":             {"", "last line", 0},
		"no header":           {ana, "line 1", 0},
		"another version":     {`{"lonja":{"export":2}}` + "\n" + ana, "line 1", 0},
		"cut short":           {header + ana, "last line", 1},
		"no JSON":             {header + ana + "{\n", "line 3", 1},
		"something else":      {header + `{"x":1}` + "\n", "line 2", 0},
		"a name too long":     {header + ana + `{"account":{"user":"` + strings.Repeat("x", 256) + `"}}` + "\n" + end, "line 3", 1},
		"nobody's file":       {header + `{"publication":{"user":"eva","name":"/f"}}` + "\n" + end, "line 2", 0},
		"a negative size":     {header + ana + `{"publication":{"user":"ana","name":"/f","size":-4}}` + "\n" + end, "line 3", 1},
		"another count":       {header + ana + `{"end":{"accounts":2,"publications":0}}` + "\n", "line 3", 1},
		"two in one line":     {header + ana + `{"account":{"user":"eva"},"publication":{"user":"ana","name":"/f"}}` + "\n" + end, "line 3", 1},
		"after the end":       {header + ana + end + ana, "line 4", 1},
		"a line without end ": {header + `{"account":{"user":"` + strings.Repeat("x", maxImportLine), "line 2", 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, memstore.New())
			report, err := d.Import(t.Context(), strings.NewReader(c.text))
			if !errors.Is(err, lonja.Invalid) || !strings.Contains(err.Error(), c.line) || report.Accounts != c.accounts {
				t.Errorf("got %+v, %v; want %d accounts and an error about %q", report, err, c.accounts, c.line)
			}
			if got := d.Stats().Accounts; got != c.accounts {
				t.Errorf("%d accounts are there, want %d", got, c.accounts)
			}
		})
	}
}

// TestImportAfterRemoval: what an account has left behind, and will be purged,
// is no part of what is imported under its name.
func TestImportAfterRemoval(t *testing.T) {
	d := populated(t)
	ctx := t.Context()
	text := export(t, d)
	a, _ := d.account("ana")
	if err := d.Unregister(ctx, "ana"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Import(ctx, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if err := d.store.Purge(ctx, filesKey("ana", a.Incarnation)); err != nil {
		t.Fatal(err)
	}
	again := open(t, d.store)
	if got := len(again.index.Listings("ana")); got != 3 {
		t.Errorf("after a late purge and a start %d publications are left, want 3", got)
	}
}

// TestImportOfATakenName: whoever registers meanwhile keeps the name, and gets
// nothing of the import.
func TestImportOfATakenName(t *testing.T) {
	d := open(t, memstore.New())
	ctx := t.Context()
	i := &importer{directory: d, keys: map[store.Key]bool{}, incarnations: map[lonja.UserName]uint64{}, taken: map[lonja.UserName]bool{}}
	for _, line := range []exportLine{
		{Account: &exportAccount{User: "ana"}},
		{Publication: &exportPublication{User: "ana", Name: "/f"}},
		{Account: &exportAccount{User: "eva"}},
	} {
		if err := i.take(ctx, line); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Register(ctx, "ana"); err != nil {
		t.Fatal(err)
	}
	if err := i.flush(ctx); err != nil {
		t.Fatal(err)
	}
	if want := (operator.ImportReport{Accounts: 1, Skipped: 2}); i.report != want || len(d.index.Listings("ana")) > 0 {
		t.Errorf("got %+v and %v, want %+v and nothing", i.report, d.index.Listings("ana"), want)
	}
}

// TestRestoreOutOfOrder: a backup of an account that was changed has its
// publications first.
func TestRestoreOutOfOrder(t *testing.T) {
	from, to := populated(t), open(t, memstore.New())
	ctx := t.Context()
	a, _ := from.account("ana")
	if err := from.write(ctx, store.Change{Key: userKey("ana"), Value: appendAccount(nil, a.Incarnation), Expect: store.Rev(a.Rev)}); err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := errors.Join(from.Backup(ctx, &backup), to.Restore(ctx, &backup)); err != nil {
		t.Fatal(err)
	}
	if got, want := everything(t, to), everything(t, from); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if err := to.Register(ctx, "new"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestBackupAndRestore(t *testing.T) {
	from, to := populated(t), open(t, memstore.New())
	var backup bytes.Buffer
	if err := from.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	if err := to.Restore(t.Context(), bytes.NewReader(backup.Bytes())); err != nil {
		t.Fatal(err)
	}
	if got, want := everything(t, to), everything(t, from); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if err := from.Restore(t.Context(), &backup); !errors.Is(err, lonja.Conflict) {
		t.Errorf("into one that is not empty: got error %v, want %v", err, lonja.Conflict)
	}
}

// TestListingsWhileTheyChange: the publication that the next page begins with
// is deleted, and another takes its place in memory; all others are told.
func TestListingsWhileTheyChange(t *testing.T) {
	d := open(t, memstore.New())
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.Register(ctx, "ana"))
	must(d.Connect(ctx, "ana", somewhere))
	name := func(f int) lonja.FileName { return lonja.FileName(fmt.Sprint("/", f)) }
	const files = 3 * listingsPage
	for f := range files {
		must(d.Publish(ctx, "ana", lonja.Listing{Name: name(f)}))
	}
	told := map[lonja.FileName]bool{}
	for l := range d.listings("ana") {
		if len(told) == 0 {
			must(d.Delete(ctx, "ana", name(listingsPage)))
			must(d.Publish(ctx, "ana", lonja.Listing{Name: "/new"}))
		}
		told[l.Name] = true
	}
	for f := range files {
		if f != listingsPage && !told[name(f)] {
			t.Fatalf("%s is not told; %d of %d are", name(f), len(told), files)
		}
	}
}

// TestCheckFinds what an index has otherwise than its store.
func TestCheckFinds(t *testing.T) {
	d := populated(t)
	ctx := t.Context()
	report, err := d.Check(ctx)
	if err != nil || report.Wrong() > 0 || report.Records != 12 {
		t.Fatalf("got %+v, %v; want 12 records and nothing wrong", report, err)
	}
	a, _ := d.account("ana")
	d.mu.Lock()
	d.index.RemovePublication("ana", a.Incarnation, "/first")
	d.index.SetPublication("ana", a.Incarnation, 1, lonja.Listing{Name: "/extra"})
	p, rev, _ := d.index.Publication("ana", "/empty")
	p.Description = "changed"
	d.index.SetPublication("ana", a.Incarnation, rev, p)
	d.index.SetAccount("ghost", 1, 1)
	d.index.RemoveAccount("eva")
	d.mu.Unlock()
	report, err = d.Check(ctx)
	if err != nil || report.Missing != 2 || report.Extra != 2 || report.Different != 1 || len(report.Problems) != 5 {
		t.Errorf("got %+v, %v; want 2 missing, 2 extra, 1 different", report, err)
	}
}

// TestCheckOfWhatCannotBeRead: records that are no directory's.
func TestCheckOfWhatCannotBeRead(t *testing.T) {
	s := memstore.New()
	d := open(t, s)
	c := newCheck(d)
	for _, e := range []store.Event{
		{Key: "x/y", Value: []byte{1}, Rev: 1},
		{Key: userKey("ana"), Value: []byte{99}, Rev: 2},
	} {
		if err := c.compare(e); err != nil {
			t.Fatal(err)
		}
	}
	if r := c.report(); r.Damaged != 2 {
		t.Errorf("got %+v, want 2 damaged", r)
	}
}

// TestEarlierRecords: what the first version wrote is understood.
func TestEarlierRecords(t *testing.T) {
	s := memstore.New()
	ctx := t.Context()
	rev, err := s.Apply(ctx, []store.Change{{Key: userKey("ana"), Value: []byte{1}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(ctx, []store.Change{{Key: fileKey("ana", uint64(rev), "/f"), Value: []byte("\x01\x05about")}}); err != nil {
		t.Fatal(err)
	}
	d := open(t, s)
	if err := d.Connect(ctx, "ana", somewhere); err != nil {
		t.Fatal(err)
	}
	got, err := d.ListContent(ctx, "ana", "ana")
	if want := []lonja.Listing{{Name: "/f", Description: "about", Size: lonja.UnknownSize}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestDamagedRecordsAreRefused(t *testing.T) {
	for name, change := range map[string]store.Change{
		"a key of nobody's":        {Key: "x/y", Value: []byte{2}},
		"an account's version":     {Key: userKey("ana"), Value: []byte{99}},
		"an empty value":           {Key: userKey("ana"), Value: []byte{}},
		"a publication's version":  {Key: fileKey("ana", 1, "/f"), Value: []byte{99}},
		"a description's length":   {Key: fileKey("ana", 1, "/f"), Value: []byte{2, 0, 9, 'x'}},
		"an account without birth": {Key: userKey("ana"), Value: []byte{2}},
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New()
			if _, err := s.Apply(t.Context(), []store.Change{change}); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), Options{Store: s}); !errors.Is(err, lonja.Damaged) {
				t.Errorf("got error %v, want %v", err, lonja.Damaged)
			}
		})
	}
}

func TestMaxPublications(t *testing.T) {
	d, err := Open(t.Context(), Options{Store: memstore.New(), MaxPublications: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx := t.Context()
	for _, err := range []error{
		d.Register(ctx, "ana"), d.Connect(ctx, "ana", somewhere),
		d.Publish(ctx, "ana", lonja.Listing{Name: "/1"}), d.Publish(ctx, "ana", lonja.Listing{Name: "/2"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Publish(ctx, "ana", lonja.Listing{Name: "/3"}); !errors.Is(err, lonja.Limited) {
		t.Errorf("got error %v, want %v", err, lonja.Limited)
	}
	if err := d.Delete(ctx, "ana", "/1"); err != nil {
		t.Fatal(err)
	}
	if err := d.Publish(ctx, "ana", lonja.Listing{Name: "/3"}); err != nil {
		t.Errorf("after a deletion: %v", err)
	}
}
