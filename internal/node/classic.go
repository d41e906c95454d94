package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"

	"lonja"
	"lonja/internal/download"
	"lonja/internal/pacing"
	"lonja/internal/upload"
)

// The classic dialect: names are absolute paths, nobody proves anything, and a
// file is known by the name it has at its owner's.
type classicDialect struct{ *Node }

func (n classicDialect) register(ctx context.Context, user lonja.UserName) error {
	return n.opts.Directory.Register(ctx, user)
}

func (n classicDialect) join(ctx context.Context, s *stay) error {
	at, err := n.serve(s)
	if err != nil {
		return &lonja.Error{Kind: lonja.LocalFile, Op: lonja.OpConnect.String(), User: s.user, Err: err}
	}
	if err := n.opts.Directory.Connect(ctx, s.user, at); err != nil {
		s.stop()
		if mayHaveHappened(err) {
			n.farewell(s)
		}
		return err
	}
	return nil
}

func (n classicDialect) part(ctx context.Context, s *stay) error {
	return n.opts.Directory.Disconnect(ctx, s.user)
}

// serve begins to serve the session's files, and returns where.
func (n classicDialect) serve(s *stay) (lonja.Endpoint, error) {
	ln, err := n.listen()
	if err != nil {
		return lonja.Endpoint{}, err
	}
	rates := n.opts.Rates
	own := &networks{look: func() []netip.Prefix { return localNetworks(n.opts.Log) }}
	uploads := upload.New(upload.Options{
		Files: s.files, SendSize: n.opts.SendSize, Pacer: rates.classic(pacing.New(rates.uploads())), Near: rates.near(own), Log: n.opts.Log,
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := uploads.Serve(ctx, ln); err != nil {
			n.opts.Log.Error("files are served no more", slog.Any("error", err))
		}
	}()
	s.stop = func() {
		cancel()
		<-ended
	}
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	return lonja.EndpointFrom(addr.Addr(), addr.Port()), nil
}

func (n classicDialect) publish(ctx context.Context, s *stay, path string, description lonja.Description) error {
	name, path, err := classicName(path)
	if err != nil {
		return err
	}
	// Served first, then listed: who sees it in the list can have it.
	served := s.files.Contains(name)
	if err := s.files.Add(name, path); err != nil {
		return err
	}
	err = n.opts.Directory.Publish(ctx, s.user, lonja.Listing{Name: name, Description: description})
	if err != nil && !served && !errors.Is(err, lonja.AlreadyPublished) {
		// Not listed, so not offered either.
		return errors.Join(err, s.files.Remove(name))
	}
	return err
}

func (n classicDialect) unpublish(ctx context.Context, s *stay, path string) error {
	name, _, err := classicName(path)
	if err != nil {
		return err
	}
	err = n.opts.Directory.Delete(ctx, s.user, name)
	if err == nil || errors.Is(err, lonja.NotPublished) {
		return errors.Join(err, s.files.Remove(name))
	}
	return err
}

// classicName returns the name under which the classic dialect publishes a
// local file: its absolute path.
func classicName(path string) (lonja.FileName, string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", "", lonja.E(lonja.Invalid, "publish", err)
	}
	name, err := lonja.ParseFileName(path)
	return name, path, err
}

func (n classicDialect) fetchFile(ctx context.Context, s *stay, owner lonja.UserName, f fetch) error {
	peers, err := n.opts.Directory.ListUsers(ctx, s.user)
	if err != nil {
		return n.heed(s, err)
	}
	peer, there := peers.Of(owner)
	if !there {
		return notThere(owner)
	}
	holder := lonja.Holder{User: owner, At: peer.At, Name: f.remote}
	_, err = download.FetchFile(ctx, holder, f.local, download.Options{Progress: f.progress})
	return err
}

func (n classicDialect) fetchMulti(ctx context.Context, s *stay, f fetch) error {
	holders, err := n.opts.Directory.Holders(ctx, s.user, f.remote)
	if err != nil {
		return n.heed(s, err)
	}
	_, err = download.FetchMulti(ctx, holders, f.local, download.Options{Progress: f.progress})
	return err
}
