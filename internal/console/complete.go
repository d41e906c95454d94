package console

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lonja"
	"lonja/internal/node"
	"lonja/internal/shell"
)

// A Completer returns what the last word of a command could become. words are
// the words of the line so far; the last, perhaps empty, is the one to complete.
type Completer func(words []string) []string

// completionTimeout bounds the questions to a directory while somebody waits
// at the keyboard.
const completionTimeout = time.Second

// CompleteFor returns a Completer for commands, files of this machine, users
// that n's directory knows as connected, and the files that they publish.
func CompleteFor(ctx context.Context, n *node.Node) Completer {
	everybody := remember(func(ctx context.Context) []string { return everybodysFiles(ctx, n) })
	return func(words []string) []string {
		ctx, cancel := context.WithTimeout(ctx, completionTimeout)
		defer cancel()
		last := words[len(words)-1]
		if len(words) == 1 {
			return commandsLike(last)
		}
		args := shell.Args(words[0])
		if len(args) > 0 && args[0] == shell.ArgQuery {
			return filtersLike(ctx, n, last)
		}
		if len(words)-2 >= len(args) {
			return nil
		}
		switch args[len(words)-2] {
		case shell.ArgUser:
			return withPrefix(connectedUsers(ctx, n), last)
		case shell.ArgLocal:
			return localPaths(last)
		case shell.ArgRemote:
			if len(words) > 2 { // the user stands before
				return withPrefix(contentOf(ctx, n, words[1], lonja.FileName.String), last)
			}
			return withPrefix(everybody(ctx), last)
		}
		return nil
	}
}

// commandsLike returns the commands that begin like word, in its case.
func commandsLike(word string) []string {
	lower := word != "" && word == strings.ToLower(word)
	var found []string
	for _, w := range shell.Words() {
		if lower {
			w = strings.ToLower(w)
		}
		// Letters that are not ASCII can be equal to some that are.
		if len(word) <= len(w) && strings.EqualFold(w[:len(word)], word) {
			found = append(found, word+w[len(word):])
		}
	}
	return found
}

func withPrefix(all []string, prefix string) []string {
	var found []string
	for _, s := range all {
		if strings.HasPrefix(s, prefix) {
			found = append(found, s)
		}
	}
	return found
}

func connectedUsers(ctx context.Context, n *node.Node) []string {
	peers, err := n.ListUsers(ctx)
	if err != nil {
		return nil // not connected, or nobody answers: nothing to offer
	}
	names := make([]string, len(peers))
	for i, p := range peers {
		names[i] = string(p.User)
	}
	return names
}

// What one Tab may cost a directory: questions about that many users, and
// again only after that time.
const (
	completionUsers  = 20
	completionMemory = 5 * time.Second
)

// everybodysFiles returns the base names of the files of connected users, of
// the first completionUsers of them.
func everybodysFiles(ctx context.Context, n *node.Node) []string {
	users := connectedUsers(ctx, n)
	var names []string
	for _, user := range users[:min(len(users), completionUsers)] {
		names = append(names, contentOf(ctx, n, user, lonja.FileName.Base)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// remember returns ask with an answer that holds for completionMemory, unless
// it is empty. It is for one goroutine.
func remember(ask func(context.Context) []string) func(context.Context) []string {
	var known []string
	var until time.Time
	return func(ctx context.Context) []string {
		if len(known) == 0 || time.Now().After(until) {
			known, until = ask(ctx), time.Now().Add(completionMemory)
		}
		return known
	}
}

func contentOf(ctx context.Context, n *node.Node, owner string, show func(lonja.FileName) string) []string {
	listings, err := n.ListContent(ctx, lonja.UserName(owner))
	if err != nil {
		return nil
	}
	names := make([]string, len(listings))
	for i, l := range listings {
		names[i] = show(l.Name)
	}
	return names
}

// localPaths returns the paths that begin like word, directories with a slash
// behind. Names with a blank are left out: no command can hold them.
func localPaths(word string) []string {
	dir, begin := filepath.Split(word)
	var entries []fs.DirEntry
	if dir == "" {
		entries, _ = os.ReadDir(".")
	} else {
		entries, _ = os.ReadDir(dir)
	}
	var found []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, begin) || strings.ContainsAny(name, " \t\n") ||
			strings.HasPrefix(name, ".") && begin == "" {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.IsDir() {
			name += string(filepath.Separator)
		}
		found = append(found, dir+name)
	}
	return found
}

// A wordCompleter fits a Completer to the line editor.
type wordCompleter struct{ complete Completer }

// Do returns how each candidate goes on after what is typed of it.
func (w *wordCompleter) Do(line []rune, pos int) ([][]rune, int) {
	words := strings.Split(strings.TrimLeft(string(line[:pos]), " "), " ")
	typed := []rune(words[len(words)-1])
	var rest [][]rune
	for _, candidate := range w.complete(words) {
		if candidate != lonja.Printable(candidate) || !strings.HasPrefix(candidate, words[len(words)-1]) {
			continue
		}
		end := " "
		if strings.HasSuffix(candidate, string(filepath.Separator)) || strings.HasSuffix(candidate, ":") {
			end = "" // there is more to come
		}
		rest = append(rest, []rune(candidate + end)[len(typed):])
	}
	return rest, len(typed)
}
