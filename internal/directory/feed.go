package directory

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"lonja"
	"lonja/internal/index"
	"lonja/internal/store"
)

const (
	// feedAgain is how long the directory waits before it asks a store for a
	// feed again that failed to give one, and longer each time: it may be all
	// that the store holds. Meanwhile it answers what it knows.
	feedAgain    = time.Second
	feedAgainMax = time.Minute
	// progressEach is after how many records the log tells of the loading.
	progressEach = 250_000
)

// feed keeps the index equal to the store until ctx ends. It tells failed if
// the index cannot even be made.
func (d *Directory) feed(ctx context.Context, failed chan<- error) error {
	for pause := feedAgain; ; pause = min(2*pause, feedAgainMax) {
		began := time.Now()
		feeding, again := context.WithCancelCause(ctx)
		d.mu.Lock()
		d.refeed = func() { again(errAnew) }
		d.mu.Unlock()
		err := d.feedOnce(feeding)
		if errors.Is(context.Cause(feeding), errAnew) && ctx.Err() == nil {
			d.unfed(errAnew)
			pause = feedAgain / 2
			continue
		}
		again(nil)
		if time.Since(began) > feedAgainMax {
			pause = feedAgain // it went well for a while
		}
		if ctx.Err() != nil {
			err = lonja.E(lonja.Unavailable, "directory", errors.New("it is closed"))
		}
		if d.unfed(err) == nil || ctx.Err() != nil {
			failed <- err
			return nil
		}
		d.log.Error("the index is not fed: reads go on, writes are refused", slog.Any("error", err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// errAnew is why writes are refused while the store is read anew.
var errAnew = lonja.E(lonja.Unavailable, "directory", errors.New("the index is being made anew"))

// readAnew makes the index anew, if records came in an order that it could not
// make sense of: publications before their account.
func (d *Directory) readAnew(ctx context.Context) error {
	d.mu.Lock()
	orphaned := d.orphaned
	d.orphaned = false
	if orphaned {
		d.broken = errAnew
		d.refeed()
	}
	d.mu.Unlock()
	if !orphaned {
		return nil
	}
	return d.listen(ctx, func() bool { return !errors.Is(d.broken, errAnew) })
}

// unfed notes that the index is not fed any more, lets those go who wait for
// it, and returns it.
func (d *Directory) unfed(err error) *index.Index {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = err
	for rev := range d.waiting {
		d.answer(rev)
	}
	return d.index
}

// feedOnce makes an index of what the store holds, puts it in the place of the
// one before, and keeps it up to date.
//
// The index is complete only when it has passed a barrier: what a feed begins
// with can be older than what was acknowledged, where the store has replicas.
func (d *Directory) feedOnce(ctx context.Context) error {
	barrier, err := d.store.Barrier(ctx)
	if err != nil {
		return err
	}
	l := newLoading(d, barrier)
	defer l.stop()
	return d.store.Feed(ctx, l.tell)
}

const (
	// loadBatch is how many records go to the index together while it is made,
	// and loadAhead how many such batches may wait.
	loadBatch = 512
	loadAhead = 8
)

// A loading is one feed of the store: the making of an index, then its
// changes. The store's reading and the index's making go on side by side.
type loading struct {
	directory *Directory
	barrier   store.Rev
	began     time.Time

	batch    []store.Event
	batches  chan []store.Event // for build
	built    chan error         // what build ended with
	begun    bool               // the feed's beginning is over
	complete bool
	stopped  bool

	// build's, until it has ended
	index       *index.Index
	ledger      *ledger
	lateKeys    []store.Event // that came before their account
	orphans     []index.Orphan
	incarnation uint64
	records     int
	forbidden   map[store.Key]store.Rev // what revoked keys have signed
}

func newLoading(d *Directory, barrier store.Rev) *loading {
	l := &loading{
		directory: d, barrier: barrier, began: time.Now(), index: index.New(), ledger: newLedger(),
		forbidden: make(map[store.Key]store.Rev),
		batches:   make(chan []store.Event, loadAhead), built: make(chan error, 1),
	}
	l.index.Observe(func(n index.Notice) { noteForbidden(l.forbidden, n) })
	go func() { l.built <- l.build() }()
	return l
}

// stop waits for build, which must not go on when its feed has ended.
func (l *loading) stop() error {
	if l.stopped {
		return nil
	}
	l.stopped = true
	close(l.batches)
	return <-l.built
}

// build makes the index of all batches, and beside it its words. After an
// error it only takes them.
func (l *loading) build() (err error) {
	documents, worded := make(chan []index.Document, loadAhead), make(chan struct{})
	go func() {
		defer close(worded)
		for docs := range documents {
			l.index.AddWords(docs)
		}
		l.index.CompleteWords()
	}()
	for batch := range l.batches {
		for _, e := range batch {
			if err == nil {
				err = l.add(e)
			}
		}
		documents <- l.index.NewDocuments()
	}
	l.index.AdoptOrphans()
	for _, e := range l.lateKeys {
		if err == nil {
			err = l.add(e)
		}
	}
	documents <- l.index.NewDocuments()
	close(documents)
	l.orphans = l.index.CompletePublications()
	<-worded
	return err
}

func (l *loading) add(e store.Event) error {
	done, err := applyTo(l.index, l.ledger, e)
	if err != nil {
		return err
	}
	l.incarnation = max(l.incarnation, done.highest)
	if done.goneKeys != 0 {
		l.lateKeys = append(l.lateKeys, e)
	}
	if done.forbidden {
		l.forbidden[e.Key] = e.Rev
	}
	for l.index.Settle(settleSteps) {
	}
	if l.records++; l.records%progressEach == 0 {
		l.directory.log.Info("reading the directory", slog.Int("records", l.records))
	}
	return nil
}

func (l *loading) tell(e store.Event) error {
	switch {
	case l.complete:
		return l.directory.apply(e)
	case e.Key == "":
		l.begun = true
	default:
		l.batch = append(l.batch, e)
	}
	done := l.begun && e.Rev >= l.barrier
	if len(l.batch) >= loadBatch || done {
		l.batches <- l.batch
		l.batch = make([]store.Event, 0, loadBatch)
	}
	if !done {
		return nil
	}
	if err := l.stop(); err != nil {
		return err
	}
	l.complete = true
	l.finish(e.Rev)
	return nil
}

// finish puts the index in its place.
func (l *loading) finish(rev store.Rev) {
	d := l.directory
	l.index.Complete()
	d.mu.Lock()
	defer d.mu.Unlock()
	first := d.index == nil
	d.index, d.ledger, d.applied, d.broken = l.index, l.ledger, rev, nil
	l.index.Observe(d.noticed)
	d.incarnation = max(d.incarnation, l.incarnation)
	d.connectAll()
	d.settle()
	for _, o := range l.orphans {
		d.purgeLater(o.User, o.Incarnation)
	}
	d.finishMembers(l)
	d.answerUpTo(rev)
	if l.records >= progressEach || !first {
		d.log.Info("the index is complete", slog.Int("records", l.records),
			slog.Duration("after", time.Since(l.began).Round(time.Millisecond)))
	}
	if first {
		close(d.loaded)
	}
}

// apply brings one change into the index that is in use.
func (d *Directory) apply(e store.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.Key != "" {
		before := d.beforeChange(e)
		done, err := applyTo(d.index, d.ledger, e)
		if err != nil {
			return err
		}
		d.incarnation = max(d.incarnation, done.highest)
		d.afterChange(before, done, e)
		if done.gone != 0 {
			d.orphaned = d.orphaned || d.exclusive
			d.purgeLater(done.user, done.gone)
		}
		if done.account || done.keys {
			d.accountChanged(done.user)
		}
		d.settle()
	}
	d.applied = max(d.applied, e.Rev)
	if e.Key == "" {
		d.answerUpTo(d.applied)
	} else {
		d.answer(e.Rev)
	}
	return nil
}

// An applied is what a change did to an index.
type applied struct {
	user    lonja.UserName
	account bool   // it was the account's own record
	gone    uint64 // an incarnation whose publications mean nothing any more, or 0
	highest uint64 // an incarnation that was seen, or 0

	keys      bool   // it was the record of its keys
	goneKeys  uint64 // an incarnation whose record of keys means nothing any more, or 0
	forbidden bool   // a publication that a revoked key has signed

	ended lonja.Revocation // of a key whose account has ended, or zero
}

// applyTo brings one change of the store into an index and a ledger.
func applyTo(x *index.Index, l *ledger, e store.Event) (done applied, err error) {
	name, err := parseKey(e.Key)
	if err != nil {
		return done, damaged(err)
	}
	done.user = name.user
	switch name.kind {
	case accountRecord:
		done.account = true
		err = done.applyAccount(x, name, e)
	case fileRecord:
		err = done.applyFile(x, name, e)
	case keysRecord:
		err = done.applyKeys(x, name, e)
	default:
		err = l.set(name, e.Value, uint64(e.Rev))
		if err == nil && name.kind == revocationRecord && version(e.Value) == endedVersion {
			done.ended, err = parseRevocation(name, e.Value)
		}
	}
	if err != nil {
		return done, damaged(err)
	}
	return done, nil
}

func (done *applied) applyAccount(x *index.Index, name recordName, e store.Event) error {
	if e.Value == nil {
		if a, exists := x.Account(name.user); exists && a.KeysRev != 0 {
			done.goneKeys = a.Incarnation
		}
		done.gone, _ = x.RemoveAccount(name.user)
		return nil
	}
	incarnation, keys, err := parseAccount(name.user, e.Value, e.Rev)
	if err != nil {
		return err
	}
	done.highest = incarnation
	x.SetAccount(name.user, incarnation, uint64(e.Rev))
	if a, _ := x.Account(name.user); keys != nil && a.KeysRev == 0 {
		return setKeys(x, name.user, incarnation, 0, keys)
	}
	return nil
}

func (done *applied) applyFile(x *index.Index, name recordName, e store.Event) error {
	if e.Value == nil {
		x.RemovePublication(name.user, name.incarnation, name.file)
		return nil
	}
	listing, err := parsePublication(name.file, e.Value)
	if err != nil {
		return err
	}
	switch {
	case !x.SetPublication(name.user, name.incarnation, uint64(e.Rev), listing):
		done.gone = name.incarnation
	case listing.Proof != nil:
		done.forbidden = x.Revoked(name.user, name.incarnation, listing.Proof.Key)
	}
	return nil
}

func (done *applied) applyKeys(x *index.Index, name recordName, e store.Event) error {
	if e.Value == nil {
		return nil // it went with its account
	}
	done.keys = true
	keys, ring, err := parseKeys(name.user, e.Value)
	if err != nil {
		return err
	}
	if !x.SetKeys(name.user, name.incarnation, uint64(e.Rev), keys, revokedOf(ring)) {
		done.goneKeys = name.incarnation
	}
	return nil
}

func setKeys(x *index.Index, user lonja.UserName, incarnation, rev uint64, keys []byte) error {
	ring, err := parseRing(user, keys)
	if err == nil {
		x.SetKeys(user, incarnation, rev, keys, revokedOf(ring))
	}
	return err
}

func revokedOf(ring []lonja.KeyRecord) (keys []lonja.PublicKey) {
	for _, r := range ring {
		if r.Revoked != 0 {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

func damaged(err error) error { return lonja.E(lonja.Damaged, "read the directory", err) }

// answer lets those go on who wait for rev. The caller holds mu.
func (d *Directory) answer(rev store.Rev) {
	if applied, ok := d.waiting[rev]; ok {
		close(applied)
		delete(d.waiting, rev)
	}
}

func (d *Directory) answerUpTo(rev store.Rev) {
	for waited := range d.waiting {
		if waited <= rev {
			d.answer(waited)
		}
	}
}
