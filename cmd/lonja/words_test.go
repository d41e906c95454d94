package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"lonja"
)

// TestInWords: nothing of the wire's and the libraries' words is left.
func TestInWords(t *testing.T) {
	_, number := strconv.ParseInt("x", 10, 64)
	for want, err := range map[string]error{
		"list what a user has published: refused by the network": &lonja.Error{
			Kind: lonja.Unavailable, Op: "LIST_CONTENT", User: "luis", Err: errors.New("refused by the network"),
		},
		"search: user does not exist; register it": fmt.Errorf("%w; register it", &lonja.Error{Kind: lonja.NoSuchUser, Op: "SEARCH", User: "ana"}),
		"unpublish: f: file is not published":      &lonja.Error{Kind: lonja.NotPublished, Op: "DELETE", User: "ana", File: "f"},
		"get: f: no connected user has the file":   &lonja.Error{Kind: lonja.NoHolder, Op: "get", File: "f"},
		"stopped":                                  context.Canceled,
		`"x" is not what can stand there`:          number,
		"takes 1 argument, not 0":                  cobra.ExactArgs(1)(&cobra.Command{}, nil),
		"takes at most 1 argument, not 2":          cobra.MaximumNArgs(1)(&cobra.Command{}, []string{"a", "b"}),
		"takes at least 1 argument, not 0":         cobra.MinimumNArgs(1)(&cobra.Command{}, nil),
	} {
		if got := inWords(err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
	for _, op := range lonja.Operations() {
		if wireWords[op.String()] == "" {
			t.Errorf("there are no words for %v", op)
		}
	}
}

// TestAbsentIsTold: nobody has it now, for one of several reasons.
func TestAbsentIsTold(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	ana.does("publish", ana.file("poem.txt", "by Shelley"))
	luis.fails(1, "ana publishes it and is not connected", "get", "poem.txt")
	luis.fails(1, "nobody publishes anything by that name", "get", "prose.txt")
	luis.fails(1, "did you mean poem.txt?", "get", "poem")
	luis.fails(1, "ana is not connected", "get", "poem.txt", "--from", "ana")
	luis.fails(1, "nobody is registered as eva", "publish", luis.file("x", "x"), "--to", "eva")
	ana.console()
	luis.fails(1, "ana publishes nothing by that name", "get", "prose.txt", "--from", "ana")
	f.server.end(os.Interrupt)
	luis.fails(1, "the directory at "+f.at+" cannot be reached", "ls")
}

// TestTwoDirectories: where it is not clear which one is meant, those are named that
// are known.
func TestTwoDirectories(t *testing.T) {
	f, g := openFair(t), openFair(t)
	ana := f.join("ana")
	ana.fails(0, "", "register", "ana", "-s", g.at)
	ana.untold()
	for _, at := range []string{f.at, g.at} {
		ana.fails(2, at, "ls")
	}
}

// TestFullOutput: what could not be written is not as if it had been.
func TestFullOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	out := &output{file: full, end: func() {}}
	cmd := &cobra.Command{}
	cmd.SetOut(out)
	writeFacts(cmd.OutOrStdout(), fact{"in words", "one two"})
	if err := out.failure(); !errors.Is(err, syscall.ENOSPC) || exitStatus(err) != exitError {
		t.Errorf("got %v", err)
	}
}
