//go:build unix

package unfinished

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/tree"
)

// childVariable tells a copy of this test binary to receive to the target that
// it names, in rounds, and say what it did, a line each, until it is killed.
const (
	childVariable = "LONJA_UNFINISHED_TEST_TARGET"
	childWay      = "LONJA_UNFINISHED_TEST_WAY" // what it does wrong, if anything
)

const childSize = 9*tree.PieceSize + 77

func TestMain(m *testing.M) {
	if target := os.Getenv(childVariable); target != "" {
		if err := receiveForever(target, os.Getenv(childWay)); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// childOptions are those of a round: each has a content of its own.
func childOptions(round byte, way string) Options {
	o := Options{ID: lonja.FileID{round}, Size: childSize, testOnlyNoRename: round%2 == 0}
	switch way {
	case "unsynced":
		o.testOnlySync = func(*os.File) error { return nil }
	case "stuck", "record first":
		o.testOnlyRecordFirst = way == "record first"
		o.testOnlySync = func(*os.File) error {
			fmt.Println("syncing")
			select {}
		}
	}
	return o
}

// receiveForever says "begin ROUND" before it opens a File, "done PIECE",
// "synced" when all that were done before are, "whole" before Commit,
// "committed" after it, and "remove" before the target goes. In some ways it says
// "syncing" and then does not go on.
func receiveForever(target, way string) error {
	for round := byte(0); ; round++ {
		fmt.Println("begin", round)
		f, err := Open(target, childOptions(round, way))
		if err != nil {
			return err
		}
		if err := receiveAll(f); err != nil {
			return err
		}
		fmt.Println("whole")
		if err := errors.Join(f.Commit(), f.Close()); err != nil {
			return err
		}
		fmt.Println("committed")
		fmt.Println("remove")
		if err := removeForGood(target); err != nil {
			return err
		}
	}
}

func removeForGood(target string) error {
	dir, base, err := openDir(target)
	if err != nil {
		return err
	}
	defer dir.Close()
	return errors.Join(dir.Remove(base), syncDir(dir))
}

// receiveAll receives what is missing, in any order, and syncs now and then.
func receiveAll(f *File) error {
	for _, p := range rand.Perm(int(f.layout.Pieces())) {
		piece := int64(p)
		if f.Good().Contains(uint32(p)) {
			continue
		}
		if err := f.Put(piece, pieceOf(f, piece)); err != nil {
			return err
		}
		fmt.Println("done", p)
		if rand.IntN(3) == 0 {
			if err := f.Sync(); err != nil {
				return err
			}
			fmt.Println("synced")
		}
	}
	return nil
}

// A child is such a copy, and what it has said.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	word  string // of its last line
	round byte
	done  *roaring.Bitmap
	must  *roaring.Bitmap // those that were synced
}

func startChild(t *testing.T, target, way string) *child {
	t.Helper()
	c := &child{cmd: exec.CommandContext(t.Context(), os.Args[0]), done: roaring.New(), must: roaring.New()}
	c.cmd.Env = append(os.Environ(), childVariable+"="+target, childWay+"="+way)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	must(t, err)
	must(t, c.cmd.Start())
	c.lines = bufio.NewScanner(out)
	return c
}

// next takes one line; false if there is none any more.
func (c *child) next(t *testing.T) bool {
	t.Helper()
	if !c.lines.Scan() {
		return false
	}
	word, rest, _ := strings.Cut(c.lines.Text(), " ")
	n, _ := strconv.Atoi(rest)
	switch word {
	case "begin":
		c.round = byte(n)
		c.done, c.must = roaring.New(), roaring.New()
	case "done":
		c.done.Add(uint32(n))
	case "remove":
		c.must = roaring.New()
	case "synced":
		c.must = c.done.Clone()
	case "failed":
		t.Log("the child ", rest)
		return false
	}
	c.word = word
	return true
}

// kill kills it, and hears what it said before.
func (c *child) kill(t *testing.T) {
	t.Helper()
	_ = c.cmd.Process.Kill()
	for c.next(t) {
	}
	if err := c.cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
}

// survived looks at what is left of the child's target, and removes it. It
// returns how many pieces are good and do not hold their bytes. What the child
// said to be synced must be good.
func (c *child) survived(t *testing.T, target string) (good, wrong int) {
	t.Helper()
	o := childOptions(c.round, "")
	content, err := os.ReadFile(target)
	if err == nil {
		defer os.Remove(target)
		for p := int64(0); p*tree.PieceSize < int64(len(content)); p++ {
			at := p * tree.PieceSize
			good++
			if n := min(tree.PieceSize, len(content)-int(at)); !bytes.Equal(content[at:int(at)+n], contentAt(o.ID, at, int64(n))) {
				wrong++
			}
		}
		if len(content) != childSize {
			t.Errorf("the target has %d bytes", len(content))
		}
		if f, err := Open(target, o); !errors.Is(err, fs.ErrExist) { // which tidies
			t.Errorf("got %v, %v", f, err)
		}
		return good, wrong
	}
	if c.word == "committed" {
		t.Errorf("what was committed is lost: %v", err)
		return 0, 0
	}
	f := begin(t, target, o)
	bitmap := f.Good()
	if lost := roaring.AndNot(c.must, bitmap); !lost.IsEmpty() {
		t.Errorf("%v were synced and are lost", lost)
	}
	for it := bitmap.Iterator(); it.HasNext(); good++ {
		p := int64(it.Next())
		got := make([]byte, f.layout.PieceLen(p))
		if _, err := f.ReadAt(got, p*tree.PieceSize); err != nil || !bytes.Equal(got, pieceOf(f, p)) {
			wrong++
		}
	}
	must(t, f.Discard())
	return good, wrong
}

// TestKilled kills a process that receives, at any moment: whatever is good then
// holds its bytes, and what was synced is good.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "file")
	kept := 0
	for range 30 {
		c := startChild(t, target, "")
		for range 1 + rand.IntN(45) {
			if !c.next(t) {
				t.Fatal("the child has failed")
			}
		}
		c.kill(t)
		good, wrong := c.survived(t, target)
		if wrong > 0 {
			t.Errorf("after %q, %d pieces of %d are not what the record says", c.word, wrong, good)
		}
		kept += good
		wantNames(t, dir)
	}
	if kept == 0 {
		t.Error("nothing survived: nothing was looked at")
	}
}
