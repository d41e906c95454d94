package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/pflag"

	"lonja/internal/memstore"
	"lonja/internal/natsstore"
	"lonja/internal/sqlitestore"
	"lonja/internal/store"
)

// inMemory is the --data of a directory that keeps nothing.
const inMemory = ":memory:"

// storeOptions say where a directory keeps what it knows.
type storeOptions struct {
	data        string
	cluster     string // URLs; empty: no cluster
	name        string
	credentials string
	ca          string
	cert        string
	key         string
	allowUnsafe bool
}

func (o *storeOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.data, "data", "", "`directory` in which accounts and publications are kept; "+inMemory+
		" forgets them at the end (default $XDG_DATA_HOME/lonja/directory-PORT, "+inMemory+" with port 0)")
	f.StringVar(&o.cluster, "store", "", "`URLs` of a NATS cluster that keeps them instead, nats://one,two,three; --data then holds only what this node remembers of it")
	f.StringVar(&o.name, "store-name", "", "`name` of the directory on the cluster: its nodes have the same one (default "+natsstore.DefaultName+")")
	f.StringVar(&o.credentials, "store-credentials", "", "`file` with this node's NATS credentials (.creds)")
	f.StringVar(&o.ca, "store-ca", "", "`file` with the certificates that the cluster's servers are checked with (PEM)")
	f.StringVar(&o.cert, "store-cert", "", "`file` with this node's certificate, if the cluster asks for one (PEM)")
	f.StringVar(&o.key, "store-key", "", "`file` with the key of --store-cert (PEM)")
	f.BoolVar(&o.allowUnsafe, "allow-unsafe-store", false, "run on a cluster that may lose what was acknowledged, for trials")
}

func (o *storeOptions) check() error {
	switch {
	case o.cluster == "" && (o.name != "" || o.credentials != "" || o.ca != "" || o.cert != "" || o.key != "" || o.allowUnsafe):
		return usagef("the flags --store-... and --allow-unsafe-store want a --store")
	case o.cluster != "" && o.data == inMemory:
		return usagef("--data %s and --store do not go together: with a --store, --data is a directory for what this node remembers of it", inMemory)
	case (o.cert == "") != (o.key == ""):
		return usagef("--store-cert and --store-key go together")
	}
	return nil
}

// open opens the store of a directory that is to listen on port. It waits for
// a cluster that is away, and tells waiting why. The caller closes it.
func (o *storeOptions) open(ctx context.Context, port int, log *slog.Logger, waiting func(reason error)) (store.Store, error) {
	data, err := o.dataDir(port)
	if err != nil {
		return nil, err
	}
	switch {
	case o.cluster != "":
		return natsstore.Open(ctx, natsstore.Options{
			Servers: o.cluster, Name: o.name, Dir: data, AllowUnsafe: o.allowUnsafe, Log: log,
			Credentials: o.credentials, CA: o.ca, Cert: o.cert, Key: o.key,
			Waiting: waiting,
		})
	case data == inMemory:
		return memstore.New(), nil
	}
	return sqlitestore.OpenLogged(ctx, data, log)
}

// place says where accounts and publications are kept, for the log.
func (o *storeOptions) place(port int) string {
	if o.cluster != "" {
		return "the cluster"
	}
	data, _ := o.dataDir(port) // open has told the error
	return data
}

// dataDir returns --data or its default, by the XDG Base Directory
// Specification. Directories on two ports are two directories; nobody comes
// back to one on a port that was taken by chance.
func (o *storeOptions) dataDir(port int) (string, error) {
	if o.data != "" {
		return o.data, nil
	}
	kind := "directory-"
	switch {
	case o.cluster != "":
		kind = "node-" + cmp.Or(o.name, natsstore.DefaultName) + "-"
	case port == 0:
		return inMemory, nil
	}
	base := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("nowhere to keep accounts and publications: %w; use --data", err)
		}
		base = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(base, "lonja", kind+strconv.Itoa(port)), nil
}
