package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/pflag"

	"lonja"
	"lonja/internal/apiserver"
	"lonja/internal/authority"
	"lonja/internal/directory"
	"lonja/internal/dirserver"
	"lonja/internal/identity"
	"lonja/internal/limits"
)

// dialectOptions say how a directory speaks, and to whom.
type dialectOptions struct {
	classic      string
	registration string
	newAuthority bool
}

// What --classic may be.
const (
	switchOn  = "on"
	switchOff = "off"
)

// registrations are what --registration may be.
var registrations = map[string]directory.Registration{
	"open":       directory.RegisterAll,
	"invitation": directory.RegisterInvited,
	"closed":     directory.RegisterNobody,
}

func (o *dialectOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.classic, "classic", switchOn, "`on`: speak the classic protocol too, which is not encrypted and proves nothing; off: TLS only")
	f.StringVar(&o.registration, "registration", "open", "who may register: open for everybody, `invitation` for whom \"lonja admin invite\" invites, closed for nobody")
	f.BoolVar(&o.newAuthority, "new-authority", false, "with --store: have this node's authority be the directory's from now on, whatever it was")
	notSettings(f, "new-authority")
}

func (o *dialectOptions) check() error {
	if o.classic != switchOn && o.classic != switchOff {
		return usagef("--classic %s: it is on or off", o.classic)
	}
	if _, known := registrations[o.registration]; !known {
		return usagef("--registration %s: it is open, invitation or closed", o.registration)
	}
	return nil
}

// openAuthority returns the authority of a directory that keeps its data in dir,
// and what ends it. That of a directory that keeps nothing goes with it.
func openAuthority(ctx context.Context, dir string, log *slog.Logger) (*authority.Authority, func(), error) {
	end := func() {}
	if dir == inMemory {
		temporary, err := os.MkdirTemp("", "lonja-authority-")
		if err != nil {
			return nil, nil, lonja.E(lonja.LocalFile, "make an authority", err)
		}
		dir, end = temporary, func() { _ = os.RemoveAll(temporary) }
	}
	a, made, err := authority.Open(authority.Options{Dir: dir})
	if err != nil {
		end()
		return nil, nil, err
	}
	said := "the directory is known by its fingerprint"
	if made {
		said = "made a key for the directory, which is known by its fingerprint"
	}
	log.Info(said, slog.String("fingerprint", identity.Hex(a.Fingerprint())), slog.String("words", identity.Words(a.Fingerprint())))
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		a.Follow(following, log)
	}()
	return a, func() {
		stop()
		<-followed
		end()
	}, nil
}

// shareAuthority sees to it that all nodes of a cluster have one authority. A node
// with another one must not be believed by members: it speaks classic only, or,
// if it is not to do that, not at all.
func (o *dialectOptions) shareAuthority(ctx context.Context, dir *directory.Directory, a *authority.Authority, log *slog.Logger) (secured bool, err error) {
	var earlier []lonja.PeerID
	for _, e := range a.Set().Earlier(time.Now()) {
		earlier = append(earlier, e.ID)
	}
	err = dir.ShareAuthority(ctx, a.Fingerprint(), earlier, o.newAuthority)
	if !errors.Is(err, lonja.Untrusted) {
		return err == nil, err
	}
	err = fmt.Errorf(`%w; copy it from a node that members know ("lonja server ca export" there, "lonja server ca import --force" here), or give the directory this one with --new-authority, and start again`, err)
	if o.classic == switchOff {
		return false, err
	}
	log.Error("this node speaks the classic protocol only", slog.Any("error", err))
	return false, nil
}

// secure returns what serves the secure dialect on the port that port serves.
func (o *dialectOptions) secure(a *authority.Authority, opts apiserver.Options, port func() *dirserver.Server) *apiserver.Server {
	opts.TLS = a.ServerConfig([]string{apiserver.ProtocolFrames, apiserver.ProtocolHTTP})
	opts.Issue = func(m lonja.Member, account uint64) (apiserver.Certificate, error) { return issue(a, m, account) }
	opts.Authority = a.Fingerprint
	opts.Classic = o.classic == switchOn
	opts.Journal = journal{port}
	if name, err := os.Hostname(); err == nil {
		opts.Node = name
	}
	return apiserver.New(opts)
}

// issue makes the certificate of a member, and says who vouches for it.
func issue(a *authority.Authority, m lonja.Member, account uint64) (apiserver.Certificate, error) {
	for {
		set := a.Set()
		der, err := a.Issue(m, account, authority.DefaultLifetime)
		if err != nil {
			return apiserver.Certificate{}, fmt.Errorf("issue a certificate: %w", err)
		}
		if a.Set() != set {
			continue // it has changed in between
		}
		now := time.Now()
		return apiserver.Certificate{
			Chain: [][]byte{der}, Authorities: set.DER(), NotBefore: now, NotAfter: now.Add(authority.DefaultLifetime),
		}, nil
	}
}

// A journal writes to that of a server that comes later.
type journal struct{ to func() *dirserver.Server }

func (j journal) Announce(operation string, user lonja.UserName, timestamp string) {
	j.to().Announce(operation, user, timestamp)
}

func (j journal) Failed(operation string, err error) { j.to().Failed(operation, err) }

func (j journal) Refused(reason limits.Reason, from net.Addr) { j.to().Refused(reason, from) }
