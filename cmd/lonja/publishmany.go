package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"lonja"
	"lonja/internal/limits"
	"lonja/internal/node"
	"lonja/internal/shell"
	"lonja/internal/telemetry"
)

const (
	// publishAtOnce is how many of many files are published at once: what takes the
	// time is to wait for the disks of both sides, which write several together.
	publishAtOnce = 32
	// manyFiles is from how many files on that is done, and not each is told of.
	// Fewer are listed in the order in which they were named.
	manyFiles = 50
	// smallFile is what is hashed in no time, in bytes. A larger one has a progress
	// bar, and the disk, to itself.
	smallFile = 1 << 20
	// mostFailures bounds the files that are named which could not be published.
	mostFailures = 20
	// publishLook is how often it is told how far it is.
	publishLook = time.Second / 4
)

// A publishing is one of many files that are published.
type publishing struct {
	offer   node.Offer
	listing lonja.Listing
	err     error
	done    chan struct{} // closed when listing and err are set
}

// A publisher publishes many files, and tells of them in the order in which they were
// named.
type publisher struct {
	*asker
	cmd   *cobra.Command
	opts  publishOptions
	all   int
	large sync.Mutex    // held for a file that is not small
	pace  *rate.Limiter // below a directory's limit for one address

	published, failed int
	bytes             int64
	shown             time.Time // when it was last told how far it is
}

// publishMany publishes files, several at once if they are many. What cannot be
// published does not keep the others from it, but for what would be wrong with each.
func (a *asker) publishMany(cmd *cobra.Command, opts publishOptions, offer node.Offer, files []node.Offer) error {
	p := &publisher{asker: a, cmd: cmd, opts: opts, all: len(files), pace: rate.NewLimiter(rate.Inf, 0)}
	if !isLoopback(a.name()) { // whom directories limit
		p.pace = rate.NewLimiter(limits.DefaultOperationsPerAddress*8/10, limits.DefaultOperationsPerAddress)
	}
	workers := 1
	if len(files) >= manyFiles {
		workers = publishAtOnce
	}
	ctx, stop := context.WithCancel(cmd.Context())
	order, work := make(chan *publishing, workers), make(chan *publishing)
	var running sync.WaitGroup
	running.Go(func() {
		defer close(order)
		defer close(work)
		for _, f := range files {
			one := &publishing{offer: offer, done: make(chan struct{})}
			one.offer.Path, one.offer.Name = f.Path, f.Name
			select {
			case order <- one:
			case <-ctx.Done():
				return
			}
			work <- one // there are workers until it is closed
		}
	})
	for range workers {
		running.Go(func() {
			for one := range work {
				one.listing, one.err = p.one(ctx, one.offer)
				close(one.done)
			}
		})
	}
	err := p.tell(order, stop)
	stop()
	running.Wait()
	return p.summary(err)
}

// one publishes one file.
func (p *publisher) one(ctx context.Context, offer node.Offer) (lonja.Listing, error) {
	if err := p.pace.Wait(ctx); err != nil {
		return lonja.Listing{}, lonja.E(lonja.Canceled, "publish", err)
	}
	if info, err := os.Stat(offer.Path); err == nil && info.Size() > smallFile {
		p.large.Lock()
		defer p.large.Unlock()
		return p.offer(ctx, offer)
	}
	l, err := p.errand.Offer(ctx, offer)
	if errors.Is(err, lonja.AlreadyPublished) && l.Proof != nil {
		err = nil // the same
	}
	return l, err
}

// tell says what came of each, and returns what would go wrong with every further one:
// then it calls stop, and takes what was begun.
func (p *publisher) tell(order <-chan *publishing, stop func()) (fatal error) {
	for one := range order {
		<-one.done
		switch {
		case one.err == nil:
			p.published++
			p.bytes += one.listing.Size
			if err := p.show(one.listing); err != nil && fatal == nil {
				fatal = err
				stop()
			}
		case fatal != nil: // it is the same, or was given up
		case wrongWithEach(one.err):
			fatal = one.err
			stop()
		default:
			if p.failed++; p.failed <= mostFailures {
				p.clear()
				fmt.Fprintf(p.cmd.ErrOrStderr(), "lonja: not published: %v\n", one.err)
			}
		}
	}
	return fatal
}

// wrongWithEach reports whether what is wrong with one file would be with all others.
func wrongWithEach(err error) bool {
	switch lonja.KindOf(err) {
	case lonja.Invalid, lonja.AlreadyPublished, lonja.LocalFile, lonja.NoSuchFile, lonja.Conflict:
		return false
	}
	return true
}

// show tells of one that is published, or how far it is.
func (p *publisher) show(l lonja.Listing) error {
	if p.opts.json || p.opts.verbose || p.all < manyFiles {
		return showPublished(p.cmd.OutOrStdout(), p.asker.published(p.user, l), p.opts.json)
	}
	if now := time.Now(); telemetry.IsTerminal(os.Stderr) && now.Sub(p.shown) >= publishLook {
		p.shown = now
		fmt.Fprintf(p.cmd.ErrOrStderr(), "\r\x1b[Kpublished %d of %d files", p.published, p.all)
	}
	return nil
}

// clear takes away the line that tells how far it is.
func (p *publisher) clear() {
	if !p.shown.IsZero() {
		fmt.Fprint(p.cmd.ErrOrStderr(), "\r\x1b[K")
		p.shown = time.Time{}
	}
}

// summary says what came of all.
func (p *publisher) summary(fatal error) error {
	p.clear()
	if more := p.failed - mostFailures; more > 0 {
		fmt.Fprintf(p.cmd.ErrOrStderr(), "lonja: not published: %d more\n", more)
	}
	if !p.opts.json && p.published > 0 {
		if _, err := fmt.Fprintf(p.cmd.OutOrStdout(), "published %d of %d files, %s in all\n", p.published, p.all, shell.FormatSize(p.bytes)); err != nil && fatal == nil {
			fatal = err
		}
	}
	switch {
	case p.cmd.Context().Err() != nil:
		return lonja.E(lonja.Canceled, "publish", fmt.Errorf("stopped after %d of %d files: the same command goes on", p.published, p.all))
	case fatal != nil:
		return fmt.Errorf("%w (%d of %d files are published)", fatal, p.published, p.all)
	case p.failed > 0:
		return fmt.Errorf("%d of %d files could not be published: give them other names, or publish the directory as one object with --folder", p.failed, p.all)
	}
	return nil
}
