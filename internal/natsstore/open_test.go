package natsstore

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"lonja"
	"lonja/internal/datadir"
	"lonja/internal/natsstore/natscluster"
	"lonja/internal/store"
)

// refused opens a store, which must fail with an error of kind that says so.
func refused(t *testing.T, o Options, kind lonja.Kind, says string) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := Open(t.Context(), o)
	if err == nil {
		_ = s.Close()
	}
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), says) {
		t.Errorf("got error %v, want kind %v and that it says %q", err, kind, says)
	}
}

// TestUnsafeClusters: a cluster that may lose what it acknowledges is refused
// with the reason, and used, with a warning, if that is allowed.
func TestUnsafeClusters(t *testing.T) {
	for name, c := range map[string]struct {
		options natscluster.Options
		says    string
	}{
		"no syncs":           {natscluster.Options{Unsynced: true}, "n1, n2, n3 syncs now and then only"},
		"syncs are not told": {natscluster.Options{Unasked: true}, "packaging/nats"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := newCluster(t, c.options)
			refused(t, Options{Servers: cluster.URLs()}, lonja.Invalid, c.says)
			var log bytes.Buffer
			s := mustOpen(t, cluster, Options{AllowUnsafe: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
			put(t, s, "a", "x", 0)
			if !strings.Contains(log.String(), c.says) || !strings.Contains(log.String(), "WARN") {
				t.Errorf("got log %q, want a warning that says %q", log.String(), c.says)
			}
		})
	}
}

// TestLoneServer: a server without a cluster is for trials only.
func TestLoneServer(t *testing.T) {
	cluster := newCluster(t, natscluster.Options{Nodes: 1})
	refused(t, Options{Servers: cluster.URLs()}, lonja.Invalid, "the server is alone")
	s := mustOpen(t, cluster, Options{AllowUnsafe: true})
	put(t, s, "a", "x", 0)
	if got := records(t, s); fmt.Sprint(got) != "[a]" {
		t.Errorf("got %v, want [a]", got)
	}
}

// TestOneReplica: a stream that was made with less than three replicas.
func TestOneReplica(t *testing.T) {
	s := mustOpen(t, nil, Options{})
	name := newName()
	config := streamConfig(name)
	config.Replicas = 1
	if _, err := s.js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	refused(t, Options{Servers: tests.shared.URLs(), Name: name}, lonja.Invalid, "has 1 replicas, not 3")
	put(t, mustOpen(t, nil, Options{Name: name, AllowUnsafe: true}), "a", "x", 0)
}

// TestForeignStreams: a stream of that name which is none of a directory.
func TestForeignStreams(t *testing.T) {
	s := mustOpen(t, nil, Options{})
	for what, change := range map[string]func(*jetstream.StreamConfig){
		"messages for each subject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 },
		"age limit":                 func(c *jetstream.StreamConfig) { c.MaxAge = 1e12 },
		"atomic batches":            func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false },
		"republishing":              func(c *jetstream.StreamConfig) { c.RePublish = nil },
		"subjects":                  func(c *jetstream.StreamConfig) { c.Subjects = c.Subjects[:1] },
	} {
		t.Run(what, func(t *testing.T) {
			config := streamConfig(newName())
			change(&config)
			if _, err := s.js.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			refused(t, Options{Servers: tests.shared.URLs(), Name: config.Name, AllowUnsafe: true}, lonja.Invalid, what)
		})
	}
}

func TestForeignDirectories(t *testing.T) {
	for _, kind := range []string{"local\n", "cluster:other\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, datadir.KindFile), []byte(kind), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, Options{Servers: tests.shared.URLs(), Dir: dir}, lonja.LocalFile, strings.TrimSpace(kind))
	}
	s := mustOpen(t, nil, Options{})
	refused(t, Options{Servers: tests.shared.URLs(), Name: s.name, Dir: filepath.Dir(s.dir.Path("x"))}, lonja.LocalFile, "in use")
}

// TestFailedOpenLeavesTheDirectoryFree: who named a cluster that is away, or
// does not let it in, may use the directory for something else.
func TestFailedOpenLeavesTheDirectoryFree(t *testing.T) {
	dir := t.TempDir()
	refused(t, Options{Servers: "nats://127.0.0.1:1", Dir: dir}, lonja.Unavailable, "none of its servers")
	d, err := datadir.Claim(dir, "local")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	s := mustOpen(t, nil, Options{Dir: dir})
	if found, err := s.dir.Read(datadir.KindFile); found != "cluster:"+s.name+"\n" || err != nil {
		t.Errorf("got mark %q, %v", found, err)
	}
}

func TestBadOptions(t *testing.T) {
	refused(t, Options{Servers: tests.shared.URLs(), Name: "a.b"}, lonja.Invalid, "a.b")
	refused(t, Options{Servers: "nats://127.0.0.1:1"}, lonja.Unavailable, "none of its servers can be reached")
	refused(t, Options{Servers: "nats://127.0.0.1:1:2"}, lonja.Invalid, "address")
	wrong := strings.ReplaceAll(tests.shared.URLs(), "lonja:", "stranger:")
	refused(t, Options{Servers: wrong}, lonja.Invalid, "does not let this node in")
}

// TestLostData: a cluster that has less than this node has seen is refused, with
// what to do: whether the stream is gone, another, or shorter.
func TestLostData(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, other, s *Store){
		"the stream is shorter": func(t *testing.T, _, s *Store) {
			if err := os.WriteFile(s.dir.Path(seenFile), fmt.Appendf(nil, seenForm, s.created.UnixNano(), 1_000_000), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"the stream was made anew": func(t *testing.T, other, s *Store) {
			if err := other.js.DeleteStream(t.Context(), s.name); err != nil {
				t.Fatal(err)
			}
			again := mustOpen(t, nil, Options{Name: s.name})
			for i := range 100 {
				put(t, again, store.Key(fmt.Sprint(i)), "x", 0)
			}
		},
		"the stream is gone": func(t *testing.T, other, s *Store) {
			if err := other.js.DeleteStream(t.Context(), s.name); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // one of them waits
			other, dir := mustOpen(t, nil, Options{}), t.TempDir()
			s := mustOpen(t, nil, Options{Dir: dir})
			put(t, s, "a", "x", 0)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			harm(t, other, s)
			refused(t, Options{Servers: tests.shared.URLs(), Name: s.name, Dir: dir}, lonja.Damaged, "Restore a backup")
		})
	}
}

// TestLostWhileRunning: a stream that is made anew under a running node.
func TestLostWhileRunning(t *testing.T) {
	s := mustOpen(t, nil, Options{})
	for i := range 20 {
		put(t, s, store.Key(fmt.Sprint(i)), "x", 0)
	}
	if err := s.js.DeleteStream(t.Context(), s.name); err != nil {
		t.Fatal(err)
	}
	if _, err := s.js.CreateStream(t.Context(), streamConfig(s.name)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Barrier(t.Context()); !errors.Is(err, lonja.Damaged) {
		t.Errorf("barrier: got error %v, want kind %v", err, lonja.Damaged)
	}
	for what, err := range map[string]error{
		"health": s.Health(),
		"feed":   s.Feed(t.Context(), func(store.Event) error { return nil }),
	} {
		if !errors.Is(err, lonja.Damaged) {
			t.Errorf("%s: got error %v, want kind %v", what, err, lonja.Damaged)
		}
	}
	if _, err := s.Apply(t.Context(), []store.Change{{Key: "b", Value: []byte("x")}}); !errors.Is(err, lonja.Damaged) {
		t.Errorf("apply: got error %v, want kind %v", err, lonja.Damaged)
	}
}

// TestReopen: what is known of the cluster is kept.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, nil, Options{Dir: dir})
	rev := put(t, s, "a", "x", 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, nil, Options{Dir: dir, Name: s.name})
	if known := again.highest.Load(); known <= uint64(rev) {
		t.Errorf("got %d as the highest known, want more than %d", known, rev)
	}
	if got := records(t, again); fmt.Sprint(got) != "[a]" {
		t.Errorf("got %v, want [a]", got)
	}
}
