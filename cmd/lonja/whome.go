package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/node"
	"lonja/internal/session"
)

// A reachLine is how a user can be reached, as programs are told it.
type reachLine struct {
	User    string    `json:"user"`
	Source  string    `json:"source"` // "node": the one that runs here; "directory": what that knows
	Process int       `json:"process,omitempty"`
	Program string    `json:"program,omitempty"` // that the node is part of
	Ways    []string  `json:"ways"`
	Session string    `json:"session,omitempty"`
	Mapping string    `json:"mapping,omitempty"` // what the router did
	Advice  string    `json:"advice,omitempty"`
	Classic bool      `json:"classic"` // the port speaks the unencrypted protocol too
	Written time.Time `json:"written,omitzero"`
}

// reachOf tells how a running node can be reached.
func reachOf(n *node.Node, program string) (reachLine, error) {
	s, err := n.Status()
	if err != nil {
		return reachLine{}, err
	}
	line := reachLine{
		User: string(s.User), Source: "node", Process: os.Getpid(), Program: program, Ways: []string{},
		Session: sessionText(s.Session), Mapping: s.Mapping, Advice: s.Advice, Classic: s.Classic, Written: time.Now().UTC(),
	}
	for _, way := range s.Ways {
		line.Ways = append(line.Ways, way.String())
	}
	return line, nil
}

func sessionText(s session.State) string {
	since := s.Since.Format(time.DateTime)
	switch {
	case s.Connected:
		return "kept since " + since
	case s.Trouble != nil:
		return "not kept since " + since + ": " + s.Trouble.Error()
	}
	return "not begun"
}

func runWhoMe(cmd *cobra.Command, opts askOptions) error {
	return opts.as(cmd, func(a *asker) error {
		line, err := readStatus(a.state, statusName(a.name(), a.user))
		if err != nil {
			return err
		}
		if line == nil {
			peers, err := a.client.ListUsers(cmd.Context(), a.user)
			if err != nil {
				return err
			}
			peer, there := peers.Of(a.user)
			if !there {
				return fmt.Errorf("%s is not connected: nothing is served; start \"lonja share\" or \"lonja client\"", lonja.Printable(string(a.user)))
			}
			seen := presentUser(peer)
			line = &reachLine{User: seen.User, Source: "directory", Ways: seen.Ways, Classic: seen.Dialect == dialectClassic}
		}
		if opts.json {
			return writeJSONLine(cmd.OutOrStdout(), line)
		}
		line.show(cmd.OutOrStdout())
		return nil
	})
}

func (l *reachLine) show(w io.Writer) {
	from := "as the directory knows it; no node of yours runs here"
	if l.Source == "node" {
		from = fmt.Sprintf("as \"lonja %s\" says, process %d", l.Program, l.Process)
	}
	facts := []fact{{"user", l.User + ", " + from}, {"ways", strings.Join(l.Ways, ", ")}}
	for _, f := range []fact{{"session", l.Session}, {"router", l.Mapping}, {"advice", l.Advice}} {
		if f.value != "" {
			facts = append(facts, f)
		}
	}
	speaks := "TLS only"
	if l.Classic {
		speaks = "classic peers too, unencrypted, for what is published for everybody"
	}
	writeFacts(w, append(facts, fact{"serves", speaks})...)
}
