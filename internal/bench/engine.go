package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/directory"
	"lonja/internal/natsstore"
	"lonja/internal/sqlitestore"
	"lonja/internal/store"
)

// A WritePath is what the writers of a trial of the store go through.
type WritePath uint8

// The paths.
const (
	BarePath    WritePath = iota // the engine, without lonja
	StorePath                    // store.Store
	PublishPath                  // a directory: rules, store, index
	SignedPath                   // likewise of members, over TLS, each publication signed and checked
	pathCount
)

// String returns the path's name.
func (p WritePath) String() string {
	return [...]string{BarePath: "bare", StorePath: "store", PublishPath: "publish", SignedPath: "signed"}[p]
}

// MarshalText makes JSON write the name.
func (p WritePath) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// An engine is what a trial writes to. close also removes what was written.
type engine struct {
	write writeFunc
	close func() error
}

// place is where stores of the measurements are: on a cluster, or on a disk.
type place struct {
	disk    string             // nodes of a cluster remember there what they saw
	cluster *natsstore.Options // nil: none
}

// open opens a store that is empty if it is new. name is the directory below
// disk, and on a cluster the name of the stream. The caller closes the store.
func (p place) open(ctx context.Context, dir, name string) (store.Store, error) {
	if p.cluster == nil {
		return sqlitestore.Open(ctx, dir)
	}
	o := *p.cluster
	o.Dir, o.Name = dir, name
	return natsstore.Open(ctx, o)
}

// openEngine opens what writers of a path write to, empty.
func (p place) openEngine(ctx context.Context, path WritePath, writers int) (*engine, error) {
	dir, err := DiskDir(p.disk)
	if err != nil {
		return nil, err
	}
	e, err := p.engineIn(ctx, dir, path, writers)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	end := e.close
	e.close = func() error { return errors.Join(end(), os.RemoveAll(dir)) }
	return e, nil
}

func (p place) engineIn(ctx context.Context, dir string, path WritePath, writers int) (*engine, error) {
	if path == BarePath {
		return p.bare(ctx, dir, writers)
	}
	name := streamName()
	kept, err := p.open(ctx, dir, name)
	if err != nil {
		return nil, err
	}
	end := func() error {
		err := kept.Close()
		if p.cluster != nil {
			err = errors.Join(err, deleteStream(*p.cluster, name))
		}
		return err
	}
	if path == StorePath {
		return &engine{applyTo(kept), end}, nil
	}
	d, err := directory.Open(ctx, directory.Options{Store: kept, Shared: p.cluster != nil})
	if err != nil {
		return nil, errors.Join(err, end())
	}
	if path == SignedPath {
		s, err := newSignedWriters(ctx, d, writers)
		if err != nil {
			return nil, errors.Join(err, d.Close(), end())
		}
		return &engine{s.publish, func() error { return errors.Join(s.close(), d.Close(), end()) }}, nil
	}
	if err := connectWriters(ctx, d, writers); err != nil {
		return nil, errors.Join(err, d.Close(), end())
	}
	return &engine{publishTo(d), func() error { return errors.Join(d.Close(), end()) }}, nil
}

// What a store adds to a value: the seal, and on a cluster what comes with it.
const (
	addedByLog    = 4
	addedByStream = 4 + 1 + 16 + 1
)

func (p place) bare(ctx context.Context, dir string, writers int) (*engine, error) {
	if p.cluster == nil {
		l, err := openBareLog(dir)
		if err != nil {
			return nil, err
		}
		return &engine{addTo(l.add, addedByLog), l.close}, nil
	}
	s, err := openBareStream(ctx, *p.cluster, writers)
	if err != nil {
		return nil, err
	}
	return &engine{addTo(s.add, addedByStream), s.close}, nil
}

func addTo(add func(context.Context, string, []byte) error, added int) writeFunc {
	value := make([]byte, len(writtenValue())+added)
	return func(ctx context.Context, writer, n int) error {
		return add(ctx, string(writtenKey(writer, n)), value)
	}
}

func applyTo(s store.Store) writeFunc {
	value := writtenValue()
	return func(ctx context.Context, writer, n int) error {
		_, err := s.Apply(ctx, []store.Change{{Key: writtenKey(writer, n), Value: value}})
		return err
	}
}

func publishTo(d *directory.Directory) writeFunc {
	return func(ctx context.Context, writer, n int) error {
		return d.Publish(ctx, userName(writer), writtenListing(writer, n))
	}
}

func connectWriters(ctx context.Context, d *directory.Directory, writers int) error {
	at := lonja.EndpointFrom(netip.MustParseAddr("127.0.0.1"), 4000)
	group, ctx := errgroup.WithContext(ctx)
	for i := range writers {
		group.Go(func() error {
			if err := d.Register(ctx, userName(i)); err != nil {
				return err
			}
			return d.Connect(ctx, userName(i), at)
		})
	}
	return group.Wait()
}

// writtenListing is what a writer publishes; writtenKey and writtenValue are of
// the size that a directory's record of it has.
func writtenListing(writer, n int) lonja.Listing {
	return lonja.Listing{
		Name:        lonja.FileName(fmt.Sprintf("/home/%s/file%08d.dat", userName(writer), n)),
		Description: "a file of the load test", Size: 1 << 20,
	}
}

func writtenKey(writer, n int) store.Key {
	const incarnation = "/1790000000000000000/" // a time in nanoseconds
	return store.Key("f/" + store.Segment(userName(writer)) + incarnation + store.Segment(writtenListing(writer, n).Name))
}

func writtenValue() []byte {
	const versionAndLengths = 1 + 4 + 1
	return make([]byte, versionAndLengths+len(writtenListing(0, 0).Description))
}
