package directory

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"reflect"
	"slices"

	"lonja"
	"lonja/internal/operator"
	"lonja/internal/store"
)

// A check is one comparison of the store with the index. Both go on changing,
// so what differs may only have just changed: what is wrong is so twice.
type check struct {
	directory *Directory
	records   int
	wrong     map[string]fault // by what a person is told
	seed      maphash.Seed
	keys      []uint64 // hashes of the keys in the store, sorted when all are there
	barrier   store.Rev
}

// A fault is a sort of thing that a check finds.
type fault uint8

const (
	damagedRecord fault = iota
	missingEntry
	differentEntry
	extraEntry
)

// maxWrong bounds what a check remembers: an index that differs more is beyond
// telling how.
const maxWrong = 100_000

// Check implements operator.Directory.
func (d *Directory) Check(ctx context.Context) (operator.CheckReport, error) {
	first, err := d.checkOnce(ctx)
	if err != nil || len(first.wrong) == 0 {
		return first.report(), err
	}
	second, err := d.checkOnce(ctx)
	maps.DeleteFunc(second.wrong, func(what string, _ fault) bool {
		_, before := first.wrong[what]
		return !before
	})
	return second.report(), err
}

func newCheck(d *Directory) *check {
	return &check{directory: d, wrong: make(map[string]fault), seed: maphash.MakeSeed()}
}

func (d *Directory) checkOnce(ctx context.Context) (*check, error) {
	c := newCheck(d)
	var err error
	if c.barrier, err = d.store.Barrier(ctx); err != nil {
		return c, err
	}
	if err = d.wait(ctx, c.barrier); err != nil {
		return c, err
	}
	err = store.Read(ctx, d.store, c.compare)
	if errors.Is(err, lonja.Damaged) {
		c.note(damagedRecord, "%v", err)
	}
	switch {
	case errors.Is(err, store.ErrIncomplete): // the index may know which
	case errors.Is(err, lonja.Damaged):
		return c, nil // what comes after it cannot be read
	case err != nil:
		return c, err
	}
	slices.Sort(c.keys)
	return c, c.findExtra(ctx)
}

func (c *check) report() operator.CheckReport {
	r := operator.CheckReport{Records: c.records}
	for _, f := range c.wrong {
		switch f {
		case damagedRecord:
			r.Damaged++
		case missingEntry:
			r.Missing++
		case differentEntry:
			r.Different++
		case extraEntry:
			r.Extra++
		}
	}
	r.Problems = slices.Sorted(maps.Keys(c.wrong))
	r.Problems = r.Problems[:min(len(r.Problems), operator.MaxProblems)]
	return r
}

func (c *check) note(f fault, format string, args ...any) {
	if len(c.wrong) < maxWrong {
		c.wrong[lonja.Printable(fmt.Sprintf(format, args...))] = f
	}
}

// compare looks whether the index has what a record says.
func (c *check) compare(e store.Event) error {
	if e.Value == nil {
		return nil
	}
	c.records++
	c.keys = append(c.keys, maphash.String(c.seed, string(e.Key)))
	name, err := parseKey(e.Key)
	if err != nil {
		c.note(damagedRecord, "record %d: %v", e.Rev, err)
		return nil
	}
	switch name.kind {
	case accountRecord:
		c.compareAccount(name, e)
	case fileRecord:
		c.compareFile(name, e)
	case keysRecord:
		c.compareKeys(name, e)
	default:
		c.compareLedger(name, e)
	}
	return nil
}

func (c *check) compareAccount(name recordName, e store.Event) {
	a, exists := c.directory.account(name.user)
	incarnation, _, err := parseAccount(name.user, e.Value, e.Rev)
	switch {
	case err != nil:
		c.note(damagedRecord, "account %s, record %d: %v", name.user, e.Rev, err)
	case !exists:
		c.note(missingEntry, "account %s, record %d, is not in the index", name.user, e.Rev)
	case a.Rev != uint64(e.Rev) || a.Incarnation != incarnation:
		c.note(differentEntry, "account %s, record %d, is record %d in the index", name.user, e.Rev, a.Rev)
	}
}

func (c *check) compareFile(name recordName, e store.Event) {
	d := c.directory
	d.mu.RLock()
	defer d.mu.RUnlock()
	a, exists := d.index.Account(name.user)
	if !exists || a.Incarnation != name.incarnation {
		return // its account is gone; it waits to be purged
	}
	want, err := parsePublication(name.file, e.Value)
	if err == nil && want.Proof != nil && d.index.Revoked(name.user, name.incarnation, want.Proof.Key) {
		return // it waits to be deleted
	}
	got, rev, there := d.index.Publication(name.user, name.file)
	switch {
	case err != nil:
		c.note(damagedRecord, "%s of %s, record %d: %v", name.file, name.user, e.Rev, err)
	case !there:
		c.note(missingEntry, "%s of %s, record %d, is not in the index", name.file, name.user, e.Rev)
	case rev != uint64(e.Rev) || !reflect.DeepEqual(got, want):
		c.note(differentEntry, "%s of %s, record %d, is record %d in the index, or says something else", name.file, name.user, e.Rev, rev)
	}
}

// findExtra looks for entries of the index that the store does not have.
func (c *check) findExtra(ctx context.Context) error {
	for a, err := range c.directory.accounts(ctx) {
		if err != nil {
			return err
		}
		if !c.has(userKey(a.User)) && store.Rev(a.Rev) <= c.barrier {
			c.note(extraEntry, "account %s is in the index and not in the store", a.User)
			continue
		}
		if a.KeysRev != 0 && !c.has(keysKey(a.User, a.Incarnation)) && store.Rev(a.KeysRev) <= c.barrier {
			c.note(extraEntry, "the keys of %s are in the index and not in the store", a.User)
		}
		for l := range c.directory.listings(a.User) {
			if !c.has(fileKey(a.User, a.Incarnation, l.Name)) && store.Rev(l.Rev) <= c.barrier {
				c.note(extraEntry, "%s of %s is in the index and not in the store", l.Name, a.User)
			}
		}
	}
	c.findExtraInLedger()
	return nil
}

func (c *check) has(key store.Key) bool {
	_, has := slices.BinarySearch(c.keys, maphash.String(c.seed, string(key)))
	return has
}
