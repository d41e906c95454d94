package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"lonja"
	"lonja/internal/dirclient"
	"lonja/internal/sqlitestore"
	"lonja/internal/store"
)

var crashRounds = flag.Int("crash-rounds", 30, "how often TestCrash kills the directory")

const (
	crashWorkersCount = 16
	crashNames        = 5 // files of each worker's user
)

// TestCrash kills the directory with SIGKILL at random moments under load.
// What was acknowledged is there afterwards, what was acknowledged as gone is
// not, no contested name has two owners, and the index is what the store holds.
func TestCrash(t *testing.T) {
	data := t.TempDir() + "/data"
	rivals, members := newCrashWorkers(), newCrashMembers(t)
	for round := range *crashRounds {
		server, dir := startDurable(t, data)
		for _, w := range rivals {
			w.verify(t, dir)
		}
		joined := joinMembers(t, server, members)
		workUntil(t, rivals, dir, func() { _ = server.cmd.Process.Signal(syscall.SIGKILL) })
		server.wait()
		joined()
		verifyWinners(t, rivals)
		verifyStore(t, data, rivals)
		if t.Failed() {
			t.Fatalf("in round %d", round+1)
		}
	}
}

// joinMembers has the members look at what is left of what they did, and work until
// the directory ends. What it returns waits for them.
func joinMembers(t *testing.T, server *process, members []*crashMember) (wait func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for _, m := range members {
		dir := m.client(t, serverAddress(server))
		m.verify(t, dir)
		working.Go(func() {
			defer dir.Close()
			m.work(ctx, t, dir)
		})
	}
	working.Go(func() {
		<-server.exited
		cancel()
	})
	return working.Wait
}

// somewhere is where the workers' users say that they listen. Nobody looks.
var somewhere = lonja.EndpointFrom(netip.MustParseAddr("127.0.0.1"), 4000)

// contested counts the attempts at contested names; attempts that follow each
// other want the same one.
var contested atomic.Int64

// startDurable starts a directory on data and returns a client of it.
func startDurable(t *testing.T, data string) (*process, lonja.Directory) {
	t.Helper()
	server := start(t, nil, "server", "--host", "127.0.0.1", "-p", "0", "--data", data)
	return server, dirclient.New(dirclient.Options{Address: serverAddress(server)})
}

// serverAddress returns where a server on the loopback address listens.
func serverAddress(server *process) string {
	line := server.firstLine()
	return "127.0.0.1" + line[strings.LastIndexByte(line, ':'):]
}

// workUntil has the workers work, brings disaster after a random number of
// operations, and returns when nobody is answered any more.
func workUntil(t *testing.T, workers []*crashWorker, dir lonja.Directory, disaster func()) {
	var left atomic.Int64
	left.Store(50 + rand.Int64N(1500))
	var working sync.WaitGroup
	for _, w := range workers {
		working.Go(func() {
			for w.step(t, dir) {
				if left.Add(-1) == 0 {
					disaster()
				}
			}
		})
	}
	working.Wait()
}

// A state is what a worker knows of a file or a name.
type state uint8

const (
	absent state = iota
	present
	unknown // the operation was under way when the directory died
)

// A crashWorker is one user who publishes and deletes, and competes for names.
type crashWorker struct {
	user    lonja.UserName
	account state
	files   map[lonja.FileName]state
	slots   [crashNames]int         // the numbers of the files in use
	won     map[lonja.UserName]bool // contested names that this one was given

	// mayRefuse: the disk may be gone while the directory still answers, and
	// then it refuses to write.
	mayRefuse bool
}

func newCrashWorkers() []*crashWorker {
	workers := make([]*crashWorker, crashWorkersCount)
	for i := range workers {
		workers[i] = &crashWorker{
			user:  lonja.UserName(fmt.Sprintf("worker-%d", i)),
			files: map[lonja.FileName]state{}, won: map[lonja.UserName]bool{},
		}
		for j := range crashNames {
			workers[i].slots[j] = j
		}
	}
	return workers
}

// step performs one random operation and reports whether the directory still
// answers.
func (w *crashWorker) step(t *testing.T, dir lonja.Directory) bool {
	ctx := context.Background()
	if w.account != present {
		err := dir.Register(ctx, w.user)
		if err != nil && !errors.Is(err, lonja.NameInUse) {
			w.account = unknown
			return false
		}
		w.account = present
	}
	if err := dir.Connect(ctx, w.user, somewhere); err != nil && lonja.KindOf(err) == lonja.Unavailable {
		return false // presence is not kept: nothing to know
	}
	if rand.IntN(8) == 0 {
		return w.compete(ctx, t, dir)
	}
	name := w.name(rand.IntN(crashNames))
	before := w.files[name]
	w.files[name] = unknown
	var err error
	after, refusal := present, lonja.AlreadyPublished
	if before == present {
		after, refusal = absent, lonja.NotPublished
		err = dir.Delete(ctx, w.user, name)
	} else {
		err = dir.Publish(ctx, w.user, lonja.Listing{Name: name, Description: "kept"})
	}
	switch {
	case err == nil:
	case errors.Is(err, refusal) && before == unknown && w.mayRefuse:
		return true // what was refused may be on the disk yet, and be there after the next start
	case errors.Is(err, refusal) && before == unknown:
	case lonja.KindOf(err) == lonja.Unavailable, w.mayRefuse && errors.Is(err, lonja.Refused):
		return false
	default:
		t.Errorf("%s %s: %v (it was %d before)", w.user, name, err, before)
		return false
	}
	w.files[name] = after
	return true
}

// name returns the name of one of the worker's files.
func (w *crashWorker) name(i int) lonja.FileName {
	return lonja.FileName(fmt.Sprintf("/%s/%d", w.user, w.slots[i]))
}

// compete registers a name that the others want too, and that nobody removes.
func (w *crashWorker) compete(ctx context.Context, t *testing.T, dir lonja.Directory) bool {
	name := lonja.UserName(fmt.Sprintf("contested-%d", contested.Add(1)/crashWorkersCount))
	err := dir.Register(ctx, name)
	switch {
	case err == nil:
		w.won[name] = true
		return true
	case errors.Is(err, lonja.NameInUse):
		return true
	case lonja.KindOf(err) != lonja.Unavailable && !(w.mayRefuse && errors.Is(err, lonja.Refused)):
		t.Errorf("register %s: %v", name, err)
	}
	return false
}

// verify asks the directory for what the worker knows, and learns what it
// does not.
func (w *crashWorker) verify(t *testing.T, dir lonja.Directory) {
	ctx := t.Context()
	err := dir.Connect(ctx, w.user, somewhere)
	switch {
	case w.account == present && err != nil:
		t.Errorf("%s was registered, and now: %v", w.user, err)
		return
	case w.account == absent && !errors.Is(err, lonja.NoSuchUser):
		t.Errorf("%s was not registered, and now: %v", w.user, err)
		return
	case err != nil:
		w.account = absent
		return
	}
	w.account = present
	listed, err := dir.ListContent(ctx, w.user, w.user)
	if err != nil {
		t.Error(err)
		return
	}
	for name, known := range w.files {
		found := absent
		if slices.ContainsFunc(listed, func(l lonja.Listing) bool { return l.Name == name }) {
			found = present
		}
		if known != unknown && known != found {
			t.Errorf("%s was %d, and now is %d", name, known, found)
		}
		w.files[name] = found
	}
}

// verifyWinners: no name was given to two.
func verifyWinners(t *testing.T, rivals []*crashWorker) {
	t.Helper()
	owner := map[lonja.UserName]lonja.UserName{}
	for _, w := range rivals {
		for name := range w.won {
			if other, taken := owner[name]; taken {
				t.Errorf("%s was given to %s and to %s", name, other, w.user)
			}
			owner[name] = w.user
		}
	}
}

var errComplete = errors.New("complete")

// verifyStore reads what the directory left on disk: every record is whole,
// nothing acknowledged is missing, and nothing is there that was not published.
func verifyStore(t *testing.T, data string, rivals []*crashWorker) {
	t.Helper()
	kept, err := sqlitestore.Open(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	keys := map[store.Key]bool{}
	err = kept.Feed(t.Context(), func(e store.Event) error {
		if e.Key == "" {
			return errComplete
		}
		keys[e.Key] = true
		return nil
	})
	if !errors.Is(err, errComplete) {
		t.Fatal(err)
	}
	for _, w := range rivals {
		for name := range w.won {
			if !keys[store.Key("u/"+store.Segment(name))] {
				t.Errorf("%s was given to %s and is not there", name, w.user)
			}
		}
		listed := map[lonja.FileName]bool{}
		for key := range keys {
			parts := strings.Split(string(key), "/")
			if len(parts) != 4 || parts[0] != "f" || parts[1] != store.Segment(w.user) {
				continue
			}
			name, err := store.ParseSegment(parts[3])
			if err != nil {
				t.Error(err)
			}
			listed[lonja.FileName(name)] = true
		}
		for name, known := range w.files {
			if known != unknown && listed[name] != (known == present) {
				t.Errorf("%s was %d, on disk it is listed: %v", name, known, listed[name])
			}
			delete(listed, name)
		}
		if len(listed) > 0 {
			t.Errorf("%s has never published %v", w.user, listed)
		}
	}
}
