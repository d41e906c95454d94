package download

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"lonja"
)

// faults are the ways in which a scripted peer can fail, none of which makes
// it look as if it had another file: it tells the right size, if any.
var faults = map[string]act{
	"not offered":        sendStatus("\x01"),
	"refused":            sendStatus("\x02"),
	"no answer":          sendNothing,
	"reset at once":      hangUp,
	"reset half way":     breakOff,
	"ends half way":      sendLess,
	"too much":           sendMore,
	"answer is cut away": sendStatus("\x00"),
}

var faultNames = func() []string {
	names := []string{"none"}
	for name := range faults {
		names = append(names, name)
	}
	return names
}()

// drawPeers draws peers for content of size bytes. The lengths of a faulty
// slice are off by more than the number of holders, so that it cannot pass for
// a right one.
func drawPeers(t *rapid.T, content []byte, n int) []*script {
	peers := make([]*script, n)
	for i := range peers {
		fault := rapid.SampledFrom(faultNames).Draw(t, fmt.Sprintf("fault of holder %d", i))
		peers[i] = &script{
			content: content, slices: faults[fault], probes: sendAll,
			honest: rapid.IntRange(0, 2).Draw(t, fmt.Sprintf("honest answers of holder %d", i)),
			inTurn: rapid.Bool().Draw(t, fmt.Sprintf("holder %d serves in turn", i)),
		}
		if rapid.Bool().Draw(t, fmt.Sprintf("holder %d does not tell its size", i)) {
			peers[i].probes = hangUp
		}
	}
	return peers
}

// Whatever a schedule of faults does, the outcome is the file or an error, and
// an error leaves all as it was. With one holder that always answers well the
// outcome is the file.
func TestFaultSchedules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(rt, "holders")
		content := random(rapid.IntRange(4*n*n, 20*smallSides).Draw(rt, "size"))
		peers := drawPeers(rt, content, n)
		good := rapid.IntRange(-1, n-1).Draw(rt, "the good holder")
		if good >= 0 {
			peers[good].slices, peers[good].probes = sendAll, sendAll
		}

		at, remove := drawPlace(rt)
		defer remove()
		cleaner := &cleaner{T: t}
		defer cleaner.run()
		size, err := FetchMulti(t.Context(), starts(cleaner, peers...), at.target,
			Options{testOnlySideLimit: smallSides, MaxConns: rapid.IntRange(1, 6).Draw(rt, "slices at once")})
		switch {
		case err == nil && good >= 0:
			at.wantFile(rt, size, err, content)
		case err == nil:
			// All may have failed alike, as if the file were a smaller one.
			at.wantOnly(rt, filepath.Base(at.target))
		case good >= 0:
			rt.Errorf("holder %d was good, and yet: %v", good, err)
		default:
			at.wantFailure(rt, err, lonja.KindOf(err))
		}
	})
}

func drawPlace(t *rapid.T) (at place, remove func()) {
	dir, err := os.MkdirTemp("", "lonja-test")
	if err != nil {
		t.Fatal(err)
	}
	at = place{target: filepath.Join(dir, "target"), old: rapid.Bool().Draw(t, "old file")}
	if at.old {
		if err := os.WriteFile(at.target, []byte(oldContent), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return at, func() { _ = os.RemoveAll(dir) }
}

// A cleaner is a test whose cleanups run when one of its many rounds ends.
type cleaner struct {
	*testing.T
	cleanups []func()
}

func (c *cleaner) Cleanup(f func()) { c.cleanups = append(c.cleanups, f) }

func (c *cleaner) run() {
	for _, f := range c.cleanups {
		f()
	}
}
