// Package shell is the language of the client's console: the grammar of its
// commands and every text that it shows, to the byte (docs/protocol.md, "The
// client's console").
//
// It reads no input, writes no output and knows no network: package console
// reads lines, has package node carry out what they ask, and shows what this
// package says of the outcome.
package shell

import (
	"strings"

	"lonja"
)

// Prompt is shown before each line is read, and begins each result.
const Prompt = "c> "

// Finished is the last thing that a console shows.
const Finished = "\n+++ FINISHED +++\n"

// A Verb is what a command asks for.
type Verb uint8

// The verbs.
const (
	Nothing Verb = iota // an empty line
	Register
	Unregister
	Connect
	Disconnect
	Publish
	Delete
	ListUsers
	ListContent
	Find
	GetFile
	GetMultifile
	Quit
	Help
)

// An ArgKind says what an argument of a command stands for, so that it can be
// checked, and completed on a terminal.
type ArgKind uint8

// The kinds of arguments.
const (
	ArgUser        ArgKind = iota // a user
	ArgLocal                      // a file on this machine
	ArgRemote                     // a file that a user publishes
	ArgDescription                // the rest of the line
	ArgQuery                      // likewise, and it may be empty
)

// grammar gives each verb its word and its arguments, in the order of HELP.
var grammar = []struct {
	verb Verb
	word string
	args []ArgKind
	show string // the arguments as usage shows them
}{
	{Register, "REGISTER", []ArgKind{ArgUser}, "<userName>"},
	{Unregister, "UNREGISTER", []ArgKind{ArgUser}, "<userName>"},
	{Connect, "CONNECT", []ArgKind{ArgUser}, "<userName>"},
	{Disconnect, "DISCONNECT", []ArgKind{ArgUser}, "<userName>"},
	{Publish, "PUBLISH", []ArgKind{ArgLocal, ArgDescription}, "<fileName> <description...>"},
	{Delete, "DELETE", []ArgKind{ArgLocal}, "<fileName>"},
	{ListUsers, "LIST_USERS", nil, ""},
	{ListContent, "LIST_CONTENT", []ArgKind{ArgUser}, "<userName>"},
	{Find, "FIND", []ArgKind{ArgQuery}, findUsage},
	{GetFile, "GET_FILE", []ArgKind{ArgUser, ArgRemote, ArgLocal}, "<userName> <remote_fileName> <local_fileName>"},
	{GetMultifile, "GET_MULTIFILE", []ArgKind{ArgRemote, ArgLocal}, "<remote_fileName> <local_fileName>"},
	{Quit, "QUIT", nil, ""},
	{Help, "HELP", nil, ""},
}

// String returns the verb's word.
func (v Verb) String() string {
	for _, g := range grammar {
		if g.verb == v {
			return g.word
		}
	}
	return ""
}

// Words returns the word of each command, in the order of HELP.
func Words() []string {
	words := make([]string, len(grammar))
	for i, g := range grammar {
		words[i] = g.word
	}
	return words
}

// Args returns what the arguments of the command with that word stand for.
func Args(word string) []ArgKind {
	for _, g := range grammar {
		if strings.EqualFold(g.word, word) {
			return g.args
		}
	}
	return nil
}

// A Command is one parsed line. Which fields are set depends on Verb.
type Command struct {
	Verb        Verb
	User        lonja.UserName
	Remote      lonja.FileName // as its owner published it
	Local       string         // a path on this machine, as typed
	Description lonja.Description
	Query       lonja.Query // of FIND
	More        bool        // FIND alone: the next page of what was found
}

// Parse reads one line. Its error, if any, is the exact text to show in place
// of a result. Words are separated by one blank; blanks around the line do not
// count; the first word is taken in any case.
func Parse(line string) (Command, error) {
	line = strings.TrimSpace(line)
	if line == "" {
		return Command{Verb: Nothing}, nil
	}
	words := strings.Split(line, " ")
	word := strings.ToUpper(words[0])
	for _, g := range grammar {
		if g.word != word {
			continue
		}
		if g.verb == Find {
			return parseFind(words[1:])
		}
		words, ok := arrange(words[1:], g.args)
		if !ok {
			return Command{}, usageError(g.word, g.show)
		}
		return fill(g.verb, g.args, words)
	}
	return Command{}, complaint("Error: command " + lonja.Printable(word) + " not valid.")
}

// A complaint is a line that stands in place of a result, to the byte.
type complaint string

func (c complaint) Error() string { return string(c) }

func usageError(word, args string) error {
	if args == "" {
		return complaint("Syntax error. Use: " + word)
	}
	return complaint("Syntax error. Usage: " + word + " " + args)
}

// arrange fits the words to the arguments; a description takes all that is
// left. It reports whether their number is right.
func arrange(words []string, args []ArgKind) ([]string, bool) {
	last := len(args) - 1
	if last >= 0 && args[last] == ArgDescription && len(words) > last {
		words = append(words[:last:last], strings.Join(words[last:], " "))
	}
	if len(words) != len(args) {
		return nil, false
	}
	for _, word := range words {
		if word == "" {
			return nil, false
		}
	}
	return words, true
}

func fill(verb Verb, args []ArgKind, words []string) (Command, error) {
	cmd := Command{Verb: verb}
	for i, arg := range args {
		var err error
		switch arg {
		case ArgUser:
			cmd.User, err = lonja.ParseUserName(words[i])
		case ArgLocal:
			cmd.Local = words[i]
		case ArgRemote:
			cmd.Remote, err = lonja.ParseFileName(words[i])
		case ArgDescription:
			cmd.Description, err = lonja.ParseDescription(words[i])
		}
		if err != nil {
			return Command{}, badArgument(err)
		}
	}
	return cmd, nil
}
