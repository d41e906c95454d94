package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/directory"
	"lonja/internal/natsstore"
	"lonja/internal/operator"
	"lonja/internal/store"
)

// A loaded is a store that holds a corpus, written by this run or by one before.
type loaded struct {
	Corpus
	cluster *natsstore.Options // nil: SQLite
	dir     string             // of the corpus: what is below, and the file that says that it is whole
	name    string             // of the stream on a cluster
	isKept  bool               // it stays for a later run
}

// openLoaded makes sure that a store below data holds the corpus. What a run
// before has written there is used again; with no data nothing is kept. The
// caller discards it.
func openLoaded(ctx context.Context, c Corpus, data string, cluster *natsstore.Options, tell func(string)) (_ *loaded, err error) {
	l := &loaded{Corpus: c, cluster: cluster, isKept: data != ""}
	if data == "" {
		if l.dir, err = DiskDir(""); err != nil {
			return nil, err
		}
	} else {
		l.dir = filepath.Join(data, c.Shape())
	}
	if l.name, err = l.written(); err == nil && l.name != "" {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	tell(fmt.Sprintf("writing %d listings, base names %s", c.Users*c.PerUser, c.Shape()))
	l.name = streamName()
	if err := l.write(ctx); err != nil {
		return nil, errors.Join(err, l.remove())
	}
	return l, nil
}

// discard removes what is not kept.
func (l *loaded) discard() error {
	if l.isKept {
		return nil
	}
	return l.remove()
}

func (l *loaded) remove() error {
	err := os.RemoveAll(l.dir)
	if l.cluster != nil {
		err = errors.Join(err, deleteStream(*l.cluster, l.name))
	}
	return err
}

// storeDir returns the data directory of the store.
func (l *loaded) storeDir() string { return filepath.Join(l.dir, "data") }

// A note stands beside a store that is whole.
type note struct {
	Corpus
	Servers string `json:"servers"` // of the cluster
	Stream  string `json:"stream"`
}

const noteFile = "corpus.json"

// written returns the name of the stream if the corpus is there already, and
// an error if something else is.
func (l *loaded) written() (string, error) {
	b, err := os.ReadFile(filepath.Join(l.dir, noteFile))
	if errors.Is(err, os.ErrNotExist) {
		if names, err := os.ReadDir(l.dir); err == nil && len(names) > 0 {
			return "", invalid("%s holds something that is not of a measurement, or of one that was ended: empty it", l.dir)
		}
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var n note
	if err := json.Unmarshal(b, &n); err != nil || n != l.note(n.Stream) {
		return "", invalid("%s holds the listings of another measurement: empty it, or use another --data", l.dir)
	}
	return n.Stream, nil
}

func (l *loaded) note(stream string) note {
	n := note{Corpus: l.Corpus, Stream: stream}
	if l.cluster != nil {
		n.Servers = l.cluster.Servers
	}
	return n
}

func (l *loaded) open(ctx context.Context) (store.Store, error) {
	return place{cluster: l.cluster}.open(ctx, l.storeDir(), l.name)
}

// write imports the corpus into an empty store.
func (l *loaded) write(ctx context.Context) (err error) {
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	kept, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	d, err := directory.Open(ctx, directory.Options{Store: kept})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := importCorpus(ctx, d, l.Corpus); err != nil {
		return err
	}
	b, err := json.Marshal(l.note(l.name))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.dir, noteFile), b, 0o644)
}

// importCorpus brings a corpus into a directory.
func importCorpus(ctx context.Context, d *directory.Directory, c Corpus) error {
	from, to := io.Pipe()
	var group errgroup.Group
	group.Go(func() error {
		err := c.export(to)
		_ = to.CloseWithError(err) // never fails
		return err
	})
	report, err := d.Import(ctx, from)
	_ = from.CloseWithError(err)
	if err := errors.Join(err, group.Wait()); err != nil {
		return err
	}
	if want := (operator.ImportReport{Accounts: c.Users, Publications: c.Users * c.PerUser}); report != want {
		return fmt.Errorf("import: got %+v, want %+v", report, want)
	}
	return nil
}

// connectedOneIn is the share of a corpus' users who are connected.
const connectedOneIn = 3

// connectCorpus connects one user in so many.
func connectCorpus(ctx context.Context, d lonja.Accounts, c Corpus, oneIn int) error {
	at := lonja.EndpointFrom(netip.MustParseAddr("10.0.0.1"), 4000)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(primedAtOnce)
	for i := 0; i < c.Users; i += oneIn {
		group.Go(func() error { return d.Connect(ctx, corpusUser(i), at) })
	}
	return group.Wait()
}
