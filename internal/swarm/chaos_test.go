package swarm

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/unfinished"
)

// An errand is what a process of its own is to fetch, so that it can be killed.
type errand struct {
	Content
	Target               string
	Cert, Key, Authority string // files
	Holders              map[lonja.UserName]string
}

const errandVariable = "LONJA_TEST_ERRAND"

func TestMain(m *testing.M) {
	if text := os.Getenv(errandVariable); text != "" {
		if err := runErrand(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runErrand is the process that is killed. It says a line for each piece that
// counts, and for each holder that lied.
func runErrand(text string) error {
	var e errand
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return err
	}
	config, err := e.config()
	if err != nil {
		return err
	}
	dst, err := unfinished.Open(e.Target, unfinished.Options{ID: e.ID, Size: e.Size})
	if err != nil {
		return err
	}
	defer dst.Close()
	opts := impatient
	opts.Tries = -1
	opts.Lied = func(user lonja.UserName, _ error) { fmt.Println(user) }
	s, err := New(e.Content, dst, opts)
	if err != nil {
		return err
	}
	s.counted = func(piece int64) { fmt.Println(piece) }
	for user, address := range e.Holders {
		s.Join(Holder{User: user, Dial: func(ctx context.Context) (net.Conn, error) {
			conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
			if err != nil {
				err = lonja.E(lonja.Unavailable, "", err)
			}
			return conn, err
		}})
	}
	if err := s.Run(context.Background()); err != nil {
		return err
	}
	return dst.Commit()
}

func (e *errand) config() (*tls.Config, error) {
	own, err := tls.LoadX509KeyPair(e.Cert, e.Key)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(e.Authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{
		Certificates: []tls.Certificate{own}, RootCAs: roots, ServerName: "node",
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
	}, nil
}

// TestChaos fetches 256 MiB from six holders: one lies in one of twenty pieces,
// one stalls, one is cut off in the middle of pieces again and again, one
// vanishes, and one joins late. The process that fetches is killed ten times.
func TestChaos(t *testing.T) {
	const kills, piecesEach = 10, 15
	w, c := newTown(t), newCorpus(t, 256*mib)
	stalled := make(chan struct{})
	good, vanishing, late := w.peer(c, "good", nil), w.peer(c, "vanishing", nil), w.peer(c, "late", nil)
	e := &errand{Content: c.Content, Target: filepath.Join(t.TempDir(), "film.mkv"), Holders: map[lonja.UserName]string{
		"good":      good.at,
		"liar":      w.peer(c, "liar", lies(20)).at,
		"stuck":     w.peer(c, "stuck", func(p *peer) { p.read = func([]byte, int64) { <-stalled } }).at,
		"cut":       w.peer(c, "cut", func(p *peer) { p.wire = cutAfter(3*mib + mib/2) }).at,
		"vanishing": vanishing.at,
	}}
	t.Cleanup(func() { close(stalled) }) // before the peers are closed
	e.Cert, e.Key, e.Authority = w.authority.WritePEM(t, "me", t.TempDir())
	counted, liars := make(map[string]int), make(map[string]bool)
	for run := 0; run <= kills; run++ {
		switch run {
		case kills / 3:
			vanishing.close()
		case kills / 2:
			e.Holders["late"] = late.at
		}
		most := piecesEach
		if run == kills {
			most = -1
		}
		w.run(e, most, func(line string) {
			if _, err := strconv.Atoi(line); err != nil {
				liars[line] = true
				return
			}
			if counted[line]++; counted[line] > 1 {
				t.Errorf("run %d: piece %s was good, and was fetched again", run, line)
			}
		})
	}
	got, err := os.ReadFile(e.Target)
	if err != nil || !bytes.Equal(got, c.bytes) {
		t.Errorf("the file is another one (%v)", err)
	}
	if len(liars) != 1 || !liars["liar"] {
		t.Errorf("named as liars: %v", liars)
	}
	if entries, err := os.ReadDir(filepath.Dir(e.Target)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// run has a process do an errand, and kills it after so many pieces; below zero
// it must do all of it.
func (w *town) run(e *errand, pieces int, said func(line string)) {
	w.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), errandVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	timer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewScanner(out)
	for n := 1; lines.Scan(); n++ {
		if said(lines.Text()); n == pieces {
			_ = cmd.Process.Kill()
		}
	}
	err = cmd.Wait()
	if killed := cmd.ProcessState.ExitCode() == -1; killed != (pieces >= 0) {
		w.Fatalf("it ended with %v", err)
	}
}

// TestSchedules is the same with small files, in random ways, in this process.
func TestSchedules(t *testing.T) {
	w := newTown(t)
	faults := map[string]func(*peer){
		"good": nil,
		"liar": lies(2),
		"cut":  func(p *peer) { p.wire = cutAfter(mib + mib/2) },
		"part": func(p *peer) { p.has = roaring.BitmapOf(0, 2) },
		"gone": func(p *peer) { p.wire = cutAfter(0) },
	}
	names := slices.Sorted(maps.Keys(faults))
	schedule := func(rt *rapid.T) {
		c := newCorpus(t, rapid.IntRange(0, 6*mib).Draw(rt, "size"))
		peers := []*peer{w.peer(c, "whole", nil)}
		for i, kind := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 4).Draw(rt, "others") {
			peers = append(peers, w.peer(c, lonja.UserName(fmt.Sprint(kind, i)), func(p *peer) {
				if kind == "part" && c.Size < 3*mib {
					return
				}
				if faults[kind] != nil {
					faults[kind](p)
				}
			}))
		}
		defer func() {
			for _, p := range peers {
				p.close()
			}
		}()
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		target := filepath.Join(dir, "file")
		counted := make(map[int64]bool)
		for stops := rapid.IntRange(0, 3).Draw(rt, "stops"); ; stops-- {
			if w.scheduled(rt, c, target, peers, stops, counted) {
				return
			}
		}
	}
	rapid.Check(t, schedule)
	rapid.Check(t, schedule)
}

// scheduled fetches until a piece has come, if it is to stop, or to the end, and
// reports which.
func (w *town) scheduled(rt *rapid.T, c *corpus, target string, peers []*peer, stops int, counted map[int64]bool) (done bool) {
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	dst, err := unfinished.Open(target, unfinished.Options{ID: c.ID, Size: c.Size})
	if err != nil {
		rt.Fatal(err)
	}
	defer dst.Close()
	opts := impatient
	opts.Tries = -1
	opts.Lied = func(user lonja.UserName, err error) {
		if !strings.HasPrefix(string(user), "liar") {
			rt.Errorf("%s is called a liar: %v", user, err)
		}
	}
	s, err := New(c.Content, dst, opts)
	if err != nil {
		rt.Fatal(err)
	}
	s.counted = func(piece int64) {
		if counted[piece] {
			rt.Errorf("piece %d was good, and was fetched again", piece)
		}
		counted[piece] = true
		if stops > 0 {
			cancel()
		}
	}
	for _, p := range peers {
		s.Join(p.Holder)
	}
	switch err := s.Run(ctx); {
	case errors.Is(err, lonja.Canceled) && stops > 0:
		return false
	case err != nil:
		rt.Fatal(err)
	}
	if err := dst.Commit(); err != nil {
		rt.Fatal(err)
	}
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, c.bytes) {
		rt.Fatalf("the file is another one (%v)", err)
	}
	return true
}
