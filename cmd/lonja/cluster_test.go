//go:build interop && linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lonja"
	"lonja/internal/natsstore/natscluster"
)

// TestFunctionalOnCluster: nothing of the battery tells, in neither dialect, that a
// directory keeps what it knows on a cluster.
func TestFunctionalOnCluster(t *testing.T) {
	server, err := natscluster.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := natscluster.Start(t.Context(), natscluster.Options{Server: server, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Stop)
	var directories atomic.Int64
	storage := func(t *testing.T) []string {
		name := fmt.Sprint("battery-", directories.Add(1))
		return []string{"--store", cluster.URLs(), "--store-name", name, "--data", t.TempDir() + "/node"}
	}
	for name, spoken := range map[string]dialect{"classic": inClassic, "secure": inSecure} {
		t.Run(name, func(t *testing.T) { playBattery(t, spoken, storage) })
	}
}

const (
	// maxOutage is the longest time without an acknowledged write, at any node
	// that is there, that a disaster may cause.
	maxOutage = 8 * time.Second
	// maxReadGap is the same for reads.
	maxReadGap = 2 * time.Second
	// someWrites at each node show that writes go on.
	someWrites = 40
)

// A disaster befalls a site, and is over when mend returns.
type disaster struct {
	name   string
	strike func(*clusterSite)
	mend   func(*clusterSite)
	// elects says that a new leader is elected. The servers wait for 4 to 9
	// seconds before they do, each as long as it likes, and the first of two
	// survivors counts: in one of 25 elections both wait for more than
	// maxOutage. So such a disaster has another try.
	elects bool
}

// TestCluster runs three directory nodes on three nats-servers, on machines of
// their own, with clients at all of them, and brings one disaster after the
// other. No acknowledged write is lost, no name has two owners, writes go on
// soon at the nodes that are left and reads never stop there, everybody who is
// connected is seen to be, and in the end all nodes answer alike.
func TestCluster(t *testing.T) {
	if !inRoom(t) {
		return
	}
	s := newSite(t)
	workers := newClusterWorkers(s)
	var everybody []lonja.UserName
	for i := range machines {
		s.enrol(i, readerName(i))
		everybody = append(everybody, readerName(i))
	}
	for _, w := range workers {
		everybody = append(everybody, w.user)
	}
	for _, d := range disasters() {
		soon := s.suffer(d, workers, everybody)
		if !soon && d.elects {
			soon = s.suffer(d, workers, everybody)
		}
		if !soon {
			t.Errorf("no write was acknowledged for longer than %v", maxOutage)
		}
		if t.Failed() {
			t.Fatalf("after: %s", d.name)
		}
	}
	s.compareNodes(workers)
}

func disasters() []disaster {
	var victim int
	return []disaster{
		{
			"leader killed",
			func(s *clusterSite) { victim = s.leader(); s.nats.Kill(victim) },
			func(s *clusterSite) { s.restartNats(victim) }, true,
		},
		{
			"follower killed",
			func(s *clusterSite) { victim = (s.leader() + 1) % machines; s.nats.Kill(victim) },
			func(s *clusterSite) { s.restartNats(victim) }, false,
		},
		{
			"directory node killed",
			func(s *clusterSite) { victim = (victim + 1) % machines; s.stopNode(victim, syscall.SIGKILL) },
			func(s *clusterSite) { s.startNode(victim) }, false,
		},
		{
			"leader's machine cut off",
			func(s *clusterSite) { victim = s.leader(); s.nodes[victim].leave(); cut(s.T, victim) },
			func(s *clusterSite) {
				s.waitHealth(victim, http.StatusServiceUnavailable) // it has noticed
				join(s.T, victim)
				s.natsWhole()
				s.waitReady(victim)
			}, true,
		},
		{"rolling restart", restartAll, func(*clusterSite) {}, true},
	}
}

// restartAll restarts all programs, one after the other, as an operator does.
func restartAll(s *clusterSite) {
	for i := range machines {
		s.stopNode(i, syscall.SIGTERM)
		s.startNode(i)
		s.nats.Shutdown(i)
		s.restartNats(i)
		s.goesOn()
	}
}

// suffer brings a disaster over the site while clients are at work, and looks
// at what is left after it. It reports false if writes were away for too long,
// which is a failure only where no second try is due.
func (s *clusterSite) suffer(d disaster, workers []*clusterWorker, everybody []lonja.UserName) bool {
	s.Helper()
	stop := s.load(workers, everybody)
	s.goesOn()
	began := time.Now()
	d.strike(s)
	s.goesOn()
	d.mend(s)
	s.goesOn()
	took := time.Since(began)
	stop()
	s.verify(workers)

	var outage, readGap time.Duration
	var writes, reads, lost int
	for _, n := range s.nodes {
		gap, count := n.writes.result()
		outage, writes = max(outage, gap), writes+count
		gap, count = n.reads.result()
		readGap, reads = max(readGap, gap), reads+count
	}
	for _, w := range workers {
		lost, w.lost = lost+w.lost, 0
	}
	s.Logf("%-25s outage of writes %4.1f s, longest without a read %3.0f ms; %d writes, %d not answered by nodes that were there, %d reads, in %.0f s",
		d.name+":", outage.Seconds(), float64(readGap.Milliseconds()), writes, lost, reads, took.Seconds())
	if readGap > maxReadGap {
		s.Errorf("no read for %v", readGap)
	}
	return outage < maxOutage
}

// load sets workers and readers to work, until stop is called, which waits for
// them.
func (s *clusterSite) load(workers []*clusterWorker, everybody []lonja.UserName) (stop func()) {
	ctx, cancel := context.WithCancel(s.Context())
	var busy sync.WaitGroup
	for i, n := range s.nodes {
		n.writes.begin()
		n.reads.begin()
		busy.Go(func() { s.read(ctx, i, everybody) })
	}
	for _, w := range workers {
		busy.Go(func() { w.work(ctx, s) })
	}
	return func() {
		cancel()
		busy.Wait()
	}
}

// goesOn waits until each node that is there has acknowledged some more writes.
func (s *clusterSite) goesOn() {
	s.Helper()
	var goals [machines]int
	for i, n := range s.nodes {
		_, count := n.writes.result()
		goals[i] = count + someWrites
	}
	s.until("writes at every node", func() bool {
		for i, n := range s.nodes {
			if _, count := n.writes.result(); count < goals[i] && n.there() {
				return false
			}
		}
		return true
	})
}

// verify: every node shows what was acknowledged by any, and no name was given
// to two.
func (s *clusterSite) verify(workers []*clusterWorker) {
	s.Helper()
	var rivals []*crashWorker
	for _, w := range workers {
		rivals = append(rivals, w.crashWorker)
		for _, n := range s.nodes {
			var err error
			late := time.Now().Add(patience)
			for err = w.agrees(s.Context(), n.dir); err != nil && time.Now().Before(late); err = w.agrees(s.Context(), n.dir) {
			}
			if err != nil {
				s.Errorf("%s: %v", n, err)
			}
		}
	}
	verifyWinners(s.T, rivals)
}

// compareNodes: all nodes give the same answers to everything, the names that
// were given are there, and nothing is wrong by their own account.
func (s *clusterSite) compareNodes(workers []*clusterWorker) {
	s.Helper()
	var users [machines]string
	s.until("all nodes have the same accounts, connected alike", func() bool {
		for i := range s.nodes {
			users[i] = strings.Join(slices.Sorted(strings.Lines(s.admin(i, "users"))), "")
		}
		return users[0] == users[1] && users[0] == users[2]
	})
	var names []lonja.UserName
	for line := range strings.Lines(users[0]) {
		names = append(names, lonja.UserName(strings.Fields(line)[0]))
	}
	there := map[lonja.UserName]bool{}
	for _, name := range names {
		there[name] = true
	}
	for _, w := range workers {
		for name := range w.won {
			if !there[name] {
				s.Errorf("%s was given to %s and is not there", name, w.user)
			}
		}
	}
	want := s.answers(0, names)
	for i := range s.nodes {
		got := s.answers(i, names)
		for question, answer := range want {
			if !reflect.DeepEqual(got[question], answer) {
				s.Errorf("%s: %s answers %v, and %s %v", question, s.nodes[i], got[question], s.nodes[0], answer)
			}
		}
		s.admin(i, "check") // fails if anything is wrong
	}
	s.Logf("%d users, the same at all nodes", len(names))
}

// answers asks the node of machine i for everything that can be read.
func (s *clusterSite) answers(i int, users []lonja.UserName) map[string]any {
	s.Helper()
	dir, who := s.nodes[i].dir, readerName(0)
	peers, err := dir.ListUsers(s.Context(), who)
	all := map[string]any{"LIST_USERS": slices.Collect(peers.All())}
	for _, user := range users {
		listed, listErr := dir.ListContent(s.Context(), who, user)
		all["LIST_CONTENT "+string(user)], err = listed, errors.Join(err, listErr)
		for _, l := range listed {
			holders, holdersErr := dir.Holders(s.Context(), who, l.Name)
			err = errors.Join(err, holdersErr)
			// Their order is not promised.
			slices.SortFunc(holders, func(a, b lonja.Holder) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			all["GET_MULTIFILE "+string(l.Name)] = holders
		}
	}
	if err != nil {
		s.Errorf("%s: %v", s.nodes[i], err)
	}
	return all
}
