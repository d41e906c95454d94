package main

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"lonja"
)

// wireWords are what people call what is asked of a directory; what is not among
// them, one has read in the console.
var wireWords = map[string]string{
	lonja.OpListUsers.String():   "list the users",
	lonja.OpListContent.String(): "list what a user has published",
	lonja.OpHolders.String():     "look for who has it",
	lonja.OpSearch.String():      "search",
	lonja.OpPublish.String():     "publish",
	lonja.OpDelete.String():      "unpublish",
	lonja.OpRegister.String():    "register",
	lonja.OpUnregister.String():  "unregister",
	lonja.OpConnect.String():     "connect",
	lonja.OpDisconnect.String():  "disconnect",
	"KEYS":                       "look up the keys",
	"REVOCATIONS":                "look up revoked keys",
	"CONTENT_DIGEST":             "compare what is published",
	"WATCH":                      "watch",
}

// fromLibraries are what libraries say in words of their own, and in those of people.
var fromLibraries = []struct {
	says  *regexp.Regexp
	means string
}{
	{regexp.MustCompile(`strconv\.Parse\w+: parsing ("(?:[^"\\]|\\.)*"): value out of range`), "$1 is too large, or too small"},
	{regexp.MustCompile(`strconv\.Parse\w+: parsing ("(?:[^"\\]|\\.)*"): invalid syntax`), "$1 is not what can stand there"},
	{regexp.MustCompile(`accepts 1 arg\(s\), received (\d+)`), "takes 1 argument, not $1"},
	{regexp.MustCompile(`accepts (\d+) arg\(s\), received (\d+)`), "takes $1 arguments, not $2"},
	{regexp.MustCompile(`accepts at most 1 arg\(s\), received (\d+)`), "takes at most 1 argument, not $1"},
	{regexp.MustCompile(`accepts at most (\d+) arg\(s\), received (\d+)`), "takes at most $1 arguments, not $2"},
	{regexp.MustCompile(`requires at least 1 arg\(s\), only received (\d+)`), "takes at least 1 argument, not $1"},
	{regexp.MustCompile(`requires at least (\d+) arg\(s\), only received (\d+)`), "takes at least $1 arguments, not $2"},
}

// inWords is what a person reads of the error that ends a command.
func inWords(err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*lonja.Error](err); ok {
		text = strings.Replace(text, e.Error(), phrase(e), 1)
	}
	for _, l := range fromLibraries {
		text = l.says.ReplaceAllString(text, l.means)
	}
	text = strings.ReplaceAll(text, context.Canceled.Error(), "stopped")
	return strings.ReplaceAll(text, context.DeadlineExceeded.Error(), "it took too long")
}

// phrase is an error without the wire's word for what was attempted, if that is what
// it has, and without the name of who asked.
func phrase(e *lonja.Error) string {
	word, wire := wireWords[e.Op]
	if !wire {
		return e.Error()
	}
	spoken := *e
	spoken.Op, spoken.User = word, ""
	if cause := new(lonja.Error); errors.As(e.Err, &cause) && cause.Op == e.Op {
		spoken.Err = cause.Err
	}
	return spoken.Error()
}

// fromDirectory reports whether err is what came of asking a directory.
func fromDirectory(err error) bool {
	e, ok := errors.AsType[*lonja.Error](err)
	if !ok {
		return false
	}
	_, wire := wireWords[e.Op]
	return wire
}
