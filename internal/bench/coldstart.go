package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"lonja/internal/dirclient"
)

// startPatience bounds the start of a server that loads a corpus.
const startPatience = 5 * time.Minute

// A StartResult is one start of a server on a store that holds a corpus, and
// the limit beside it: reading all records and doing nothing with them.
type StartResult struct {
	Round int     `json:"round"`
	Cold  bool    `json:"cold"` // nothing was in the page cache
	Bare  Seconds `json:"bare_s"`
	Ready Seconds `json:"ready_s"` // from starting the process until it listens
	// CPU is the processor time that it had used by then.
	CPU Seconds `json:"cpu_s"`
	// Memory is what the server held when it listened, and Peak the most
	// until then; the others likewise after it was asked for a while.
	Memory      int64 `json:"memory_bytes"`
	Peak        int64 `json:"peak_bytes"`
	MemoryAsked int64 `json:"memory_after_questions_bytes,omitempty"`
	PeakAsked   int64 `json:"peak_after_questions_bytes,omitempty"`
}

// measureStart measures one start. With asked above zero the server is then
// asked for that long.
func measureStart(ctx context.Context, program string, l *loaded, round int, asked time.Duration) (r StartResult, err error) {
	r.Round = round
	bare := func() error {
		r.Cold = dropCaches()
		began := time.Now()
		err := l.readAll(ctx)
		r.Bare = Seconds(time.Since(began))
		return err
	}
	serve := func() error {
		r.Cold = dropCaches()
		return r.serve(ctx, program, l, asked)
	}
	first, second := bare, serve
	if round%2 == 0 {
		first, second = serve, bare
	}
	if err := first(); err != nil {
		return r, err
	}
	return r, second()
}

// serve starts a server, looks at it and stops it.
func (r *StartResult) serve(ctx context.Context, program string, l *loaded, asked time.Duration) (err error) {
	began := time.Now()
	p, err := startProcess(program, []string{logHostVariable + "="}, l.serverArgs()...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	address, err := p.awaitFor(ctx, startPatience, serverListens)
	if err != nil {
		return err
	}
	r.Ready = Seconds(time.Since(began))
	cpu, err := cpuTime(p.pid())
	if err != nil {
		return err
	}
	r.CPU = Seconds(cpu)
	if r.Memory, r.Peak, err = memoryOf(p); err != nil || asked <= 0 {
		return err
	}
	if err := askServer(ctx, address, l.Corpus, asked); err != nil {
		return fmt.Errorf("questions: %w", err)
	}
	r.MemoryAsked, r.PeakAsked, err = memoryOf(p)
	return err
}

func memoryOf(p *process) (now, peak int64, err error) {
	if now, err = residentMemory(p.pid()); err != nil {
		return 0, 0, err
	}
	peak, err = peakMemory(p.pid())
	return now, peak, err
}

// serverArgs are those of a "lonja server" on the corpus. Nobody listens for
// its users, so it must not find that out.
func (l *loaded) serverArgs() []string {
	args := []string{
		"server", "--host", "127.0.0.1", "--port", "0", "--admin", "off", "--probe-period", "0",
		"--data", l.storeDir(),
	}
	if l.cluster == nil {
		return args
	}
	args = append(args, "--store", l.cluster.Servers, "--store-name", l.name)
	for flag, value := range map[string]string{
		"--store-credentials": l.cluster.Credentials, "--store-ca": l.cluster.CA,
		"--store-cert": l.cluster.Cert, "--store-key": l.cluster.Key,
	} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	return args
}

// askersAtOnce are the clients that ask a server over the network.
const askersAtOnce = 4

// askServer has a part of the users connect to a server, and asks it questions
// of all kinds for a while.
func askServer(ctx context.Context, address string, c Corpus, length time.Duration) error {
	client := dirclient.New(dirclient.Options{Address: address})
	if err := connectCorpus(ctx, client, c, connectedOneIn); err != nil {
		return err
	}
	q, err := makeQuestions(ctx, client, c)
	if err != nil {
		return err
	}
	end := time.Now().Add(length)
	group, ctx := errgroup.WithContext(ctx)
	for i := range askersAtOnce {
		group.Go(func() error {
			for n := i; time.Now().Before(end); n += askersAtOnce {
				kind := ContentQuestion + Question(n/askersAtOnce%3)
				if err := q.ask(ctx, client, kind, n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// dropCaches empties the page cache, and reports false where that is not
// allowed.
func dropCaches() bool {
	syscall.Sync() // what is not written yet would stay
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0) == nil
}

// readAll reads every record of the store, past the store.
func (l *loaded) readAll(ctx context.Context) error {
	read := l.readStream
	if l.cluster == nil {
		read = l.readTable
	}
	n, err := read(ctx)
	if want := l.Users * (1 + l.PerUser); err == nil && n < want {
		err = fmt.Errorf("%d records are there, want %d", n, want)
	}
	return err
}

func (l *loaded) readTable(ctx context.Context) (n int, err error) {
	path := filepath.Join(l.storeDir(), "directory.db")
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "SELECT rev, key, value FROM records ORDER BY rev")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var rev, key, value sql.RawBytes
	for ; rows.Next(); n++ {
		if err := rows.Scan(&rev, &key, &value); err != nil {
			return n, err
		}
	}
	return n, rows.Err()
}

func (l *loaded) readStream(ctx context.Context) (int, error) {
	conn, js, err := connectCluster(*l.cluster, 1)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stream, err := js.Stream(ctx, l.name)
	if err != nil {
		return 0, err
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return 0, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return 0, err
	}
	defer messages.Stop()
	last := stream.CachedInfo().State.LastSeq
	for n := 1; ; n++ {
		m, err := messages.Next()
		if err != nil {
			return n, err
		}
		if meta, err := m.Metadata(); err != nil || meta.Sequence.Stream >= last {
			return n, err
		}
	}
}
