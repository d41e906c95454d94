package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja"
	"lonja/internal/trust"
)

// The shell's completion asks the directory: who is connected, and what there is.
// It asks nobody else anything, and where it cannot be told at once, it has no
// proposals and says nothing.
const (
	completionTime = time.Second // that a person waits
	mostProposals  = 500
)

// A proposer says what may stand at a place that begins with begun.
type proposer func(ctx context.Context, a *completer, begun string) []string

// addCompletions has the shell propose users and names where they stand.
func addCompletions(root *cobra.Command) {
	for _, path := range []string{"ls", "id keys"} {
		commandAt(root, path).ValidArgsFunction = firstOnly(propose(connectedUsers, cobra.ShellCompDirectiveNoFileComp))
	}
	commandAt(root, "get").ValidArgsFunction = firstOnly(propose(namesInReach, cobra.ShellCompDirectiveNoFileComp))
	commandAt(root, "unpublish").ValidArgsFunction = propose(ownNames, cobra.ShellCompDirectiveDefault)
	users := propose(connectedUsers, cobra.ShellCompDirectiveNoFileComp)
	for path, flag := range map[string]string{"get": "from", "publish": "to", "share": "to", "find": "owner"} {
		if err := commandAt(root, path).RegisterFlagCompletionFunc(flag, users); err != nil {
			panic(err) // there is no such flag
		}
	}
	if err := commandAt(root, "events").RegisterFlagCompletionFunc("holders", propose(namesInReach, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is no such flag
	}
	commandAt(root, "who").ValidArgsFunction = cobra.NoFileCompletions
	for _, path := range []string{"pause", "resume", "cancel", "why", "downloads priority"} {
		commandAt(root, path).ValidArgsFunction = firstOnly(listedDownloads)
	}
}

// commandAt returns a command that is there.
func commandAt(root *cobra.Command, path string) *cobra.Command {
	cmd, rest, err := root.Find(strings.Fields(path))
	if err != nil || len(rest) > 0 {
		panic("there is no command " + path)
	}
	return cmd
}

// firstOnly is a completion for commands that take one argument.
func firstOnly(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, begun)
	}
}

// propose makes a completion of what the directory tells in time. Of a list with
// commas, the last part is completed.
func propose(from proposer, directive cobra.ShellCompDirective) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		a, err := newCompleter(cmd)
		if a == nil || err != nil {
			return nil, directive
		}
		defer a.close()
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		begun := typed[strings.LastIndexByte(typed, ',')+1:]
		proposals := slices.DeleteFunc(from(ctx, a, begun), func(text string) bool {
			return !strings.HasPrefix(text, begun) || lonja.Printable(text) != text
		})
		slices.Sort(proposals)
		proposals = slices.Compact(proposals)
		proposals = proposals[:min(len(proposals), mostProposals)]
		for i := range proposals {
			proposals[i] = strings.TrimSuffix(typed, begun) + proposals[i]
		}
		return proposals, directive
	}
}

// A completer is a member on behalf of a person who still types.
type completer struct {
	*member
	user lonja.UserName
}

// newCompleter returns nil where asking would need a person, or would make or trust
// something: with no key yet, a sealed one, or a directory that was never met. The
// caller closes what it returns.
func newCompleter(cmd *cobra.Command) (*completer, error) {
	if err := applySettings(cmd, nil); err != nil {
		return nil, err
	}
	o, err := askedBy(cmd)
	if err != nil {
		return nil, err
	}
	user, err := o.who()
	if err != nil {
		return nil, err
	}
	if asks, err := o.asksPeople(); asks || err != nil {
		return nil, err
	}
	m, err := o.open(cmd)
	if err != nil {
		return nil, err
	}
	return &completer{m, user}, nil
}

// askedBy returns the flags of a command that asks as a member.
func askedBy(cmd *cobra.Command) (*askOptions, error) {
	o := new(askOptions)
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.addFlags(flags)
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if typed := cmd.Flags().Lookup(f.Name); typed != nil && failed == nil {
			failed = flags.Set(f.Name, typed.Value.String())
		}
	})
	return o, failed
}

// asksPeople reports whether open would ask, or tell, a person something.
func (o *askOptions) asksPeople() (bool, error) {
	file, err := o.keyOptions.file()
	if err != nil {
		return true, err
	}
	if sealed, err := file.Sealed(); sealed || err != nil {
		return true, err
	}
	where, err := o.site()
	if err != nil {
		return true, err
	}
	store := trust.New(file.Dir, nil)
	for _, a := range where.addresses {
		if pins, err := store.Pins(a); len(pins) == 0 || err != nil {
			return true, err
		}
	}
	return false, nil
}

func connectedUsers(ctx context.Context, a *completer, _ string) (names []string) {
	peers, err := a.client.ListUsers(ctx, a.user)
	if err != nil {
		return nil
	}
	for p := range peers.All() {
		names = append(names, string(p.User))
	}
	return names
}

func ownNames(ctx context.Context, a *completer, _ string) (names []string) {
	listings, err := a.client.ListContent(ctx, a.user, a.user)
	if err != nil {
		return nil
	}
	for _, l := range listings {
		names = append(names, string(l.Name))
	}
	return names
}

// namesInReach are those that connected users have, whose last word may only be begun.
func namesInReach(ctx context.Context, a *completer, begun string) (names []string) {
	page, err := a.client.Search(ctx, a.user, lonja.Query{Words: begun, OnlineOnly: true, Limit: mostProposals})
	if err != nil {
		return nil
	}
	for _, f := range page.Found {
		names = append(names, f.Listing.Name.Base())
	}
	return names
}

// listedDownloads proposes the ids of the downloads on the list, each with its file.
func listedDownloads(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	nothing := cobra.ShellCompDirectiveNoFileComp
	if err := applySettings(cmd, nil); err != nil {
		return nil, nothing
	}
	state, err := cmd.Flags().GetString("state-dir")
	if err != nil {
		return nil, nothing
	}
	list, err := (&listOptions{stateDir: state}).list()
	if err != nil {
		return nil, nothing
	}
	all, err := list.All()
	if err != nil {
		return nil, nothing
	}
	var proposals []string
	for _, d := range all {
		if strings.HasPrefix(d.ID, typed) {
			proposals = append(proposals, d.ID+"\t"+string(d.State)+" "+lonja.Printable(filepath.Base(d.Target)))
		}
	}
	return proposals, nothing
}
