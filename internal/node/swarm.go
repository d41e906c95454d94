package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"

	"lonja"
	"lonja/internal/swarm"
	"lonja/internal/transport"
	"lonja/internal/tree"
	"lonja/internal/unfinished"
)

// Fetched is what came of fetching a content.
type Fetched struct {
	ID    lonja.FileID
	Name  lonja.FileName // as its first holder calls it
	Bytes int64
	From  []lonja.UserName // whom it came from, those who sent most first
	Liars []lonja.UserName // who sent something else
}

// fetchFromAll fetches a content from all of its holders at once. What has come is
// kept when it fails, and the next one goes on with it.
func (d *secureDialect) fetchFromAll(ctx context.Context, as asking, holders []lonja.Holder, f fetch) (Fetched, error) {
	same, err := d.ofOneSize(ctx, as, holders, f)
	if err != nil {
		return Fetched{}, err
	}
	return d.fetchSized(ctx, as, same, f)
}

func unsigned(h lonja.Holder) error {
	return &lonja.Error{Kind: lonja.Untrusted, Op: opFetchFile, User: h.User, File: h.Name, Err: errUnsigned}
}

// bySize sorts those holders of a content who have signed that by the size that
// they say it has, what most say first: a content has one size only, but a
// holder can sign anything. See ofOneSize.
func bySize(holders []lonja.Holder) (groups [][]lonja.Holder) {
	for _, h := range holders {
		if h.Proof == nil || h.Reach == nil || h.Publication().ContentSize() < 0 {
			continue
		}
		i := slices.IndexFunc(groups, func(g []lonja.Holder) bool {
			return g[0].Publication().ContentSize() == h.Publication().ContentSize()
		})
		if i < 0 {
			i = len(groups)
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], h)
	}
	slices.SortStableFunc(groups, func(a, b []lonja.Holder) int { return cmp.Compare(len(b), len(a)) })
	return groups
}

func (d *secureDialect) fetchSized(ctx context.Context, as asking, holders []lonja.Holder, f fetch) (got Fetched, err error) {
	got = Fetched{ID: holders[0].Proof.File, Name: holders[0].Name, Bytes: holders[0].Publication().ContentSize()}
	dst, err := unfinished.Open(f.local, unfinished.Options{ID: got.ID, Size: got.Bytes, Force: f.force})
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, leave(dst, err)) }()
	s, err := swarm.New(swarm.Content{ID: got.ID, Size: got.Bytes, Name: cmp.Or(f.remote, got.Name)}, dst, swarm.Options{
		Progress: f.progress, Log: d.opts.Log, Limit: d.down, LimitEach: d.Rates.DownEach, Near: d.near(), QueuePatience: d.Rates.Queue, Tries: d.tries,
		Lied: func(user lonja.UserName, _ error) { got.Liars = append(got.Liars, user) },
	})
	if err != nil {
		return got, err
	}
	for _, h := range holders {
		s.Join(d.swarmHolder(as, h, f))
	}
	look := &lookout{
		secureDialect: d, crowd: swarmCrowd{s}, as: as, f: f, id: got.ID, size: got.Bytes, several: got.Bytes > tree.PieceSize,
		known: holders, audience: newAudience(holders),
	}
	defer d.give(got.ID, s, look.audience)()
	if f.started != nil {
		f.started(s)
	}
	looking, stop := context.WithCancel(ctx)
	looked := make(chan struct{})
	known := s.Expect()
	go func() {
		defer close(looked)
		look.run(looking, known)
	}()
	err = s.Run(ctx)
	stop()
	<-looked
	if err != nil {
		return got, err
	}
	for _, h := range s.Holders() {
		if h.Bytes > 0 {
			got.From = append(got.From, h.User)
		}
	}
	return got, dst.Commit()
}

// leave closes a download. One that failed before anything came of it leaves
// nothing behind.
func leave(dst *unfinished.File, failed error) error {
	if failed == nil {
		return dst.Close()
	}
	if dst.Good().IsEmpty() {
		return errors.Join(dst.Discard(), dst.Close())
	}
	if err := dst.Close(); err != nil {
		return err
	}
	return errors.New("what has come is kept: to fetch it to the same place goes on with it")
}

// swarmHolder returns how a holder is reached. What the directory says of it is
// checked before it is connected with.
func (d *secureDialect) swarmHolder(as asking, h lonja.Holder, f fetch) swarm.Holder {
	return swarm.Holder{User: h.User, Key: h.Reach.Key, Dial: func(ctx context.Context) (net.Conn, error) {
		config, err := d.trusted(ctx, as, h, f.remote)
		if err != nil {
			return nil, err
		}
		return d.reach(ctx, h, config)
	}}
}

// reach connects to a holder.
func (d *secureDialect) reach(ctx context.Context, h lonja.Holder, config *tls.Config) (net.Conn, error) {
	ways := transport.Order(h.Reach.Ways, localNetworks(d.opts.Log))
	conn, err := d.dialer.Dial(ctx, ways, config)
	if err != nil {
		return nil, unreached(h.User, ways, err)
	}
	return conn, nil
}

// A Choice is one of the contents that a name stands for.
type Choice struct {
	ID      lonja.FileID // zero for what is published in the classic protocol
	Holders []lonja.Holder
}

// The bounds of what is looked at when a name stands for several contents.
const (
	mostContents = 20 // that are told
	mostWitness  = 3  // holders of each, of whom one must be who the directory says
)

// choices returns the contents of holders, those that most have first. Of several,
// those are left out for which only the directory's word stands.
func (d *secureDialect) choices(ctx context.Context, as asking, holders []lonja.Holder, asked lonja.FileName) (all []Choice) {
	for _, h := range holders {
		id := lonja.FileID{}
		if h.Proof != nil {
			id = h.Proof.File
		}
		i := slices.IndexFunc(all, func(c Choice) bool { return c.ID == id })
		if i < 0 {
			i = len(all)
			all = append(all, Choice{ID: id})
		}
		all[i].Holders = append(all[i].Holders, h)
	}
	slices.SortStableFunc(all, func(a, b Choice) int { return cmp.Compare(len(b.Holders), len(a.Holders)) })
	if len(all) < 2 {
		return all
	}
	signed := slices.DeleteFunc(slices.Clone(all[:min(len(all), mostContents)]), func(c Choice) bool {
		return !slices.ContainsFunc(c.Holders[:min(len(c.Holders), mostWitness)], func(h lonja.Holder) bool {
			_, err := d.trusted(ctx, as, h, asked)
			return err == nil
		})
	})
	if len(signed) == 0 {
		return all[:1] // whatever is wrong with it, fetching it says
	}
	return signed
}

// disagreement is the error for a name that stands for several contents.
func disagreement(name lonja.FileName, choices []Choice) error {
	text := "it stands for several contents: ask for one of them by its id"
	for _, c := range choices {
		text += fmt.Sprintf("\n  %s  %d with it, %s among them", c.ID, len(c.Holders), lonja.Printable(string(c.Holders[0].User)))
	}
	return &lonja.Error{Kind: lonja.Disagreement, Op: lonja.OpHolders.String(), File: name, Err: errors.New(text)}
}
