package main

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"

	"lonja"
	"lonja/internal/node"
)

// checkInclude refuses patterns that are none.
func (o *getOptions) checkInclude() error {
	for _, pattern := range o.include {
		if !doublestar.ValidatePattern(pattern) || !utf8.ValidString(pattern) {
			return usagef("--include %s: it is no pattern", lonja.Printable(pattern))
		}
	}
	return nil
}

// included returns what of a folder is wanted: what one of the patterns matches, nil
// for all.
func included(patterns []string) func(string) bool {
	if len(patterns) == 0 {
		return nil
	}
	return func(file string) bool {
		for _, pattern := range patterns {
			pattern = strings.TrimSuffix(strings.TrimPrefix(pattern, "./"), "/")
			for at := file; at != "."; at = path.Dir(at) { // it, and the directories that it is in
				if doublestar.MatchUnvalidated(pattern, at) {
					return true
				}
			}
		}
		return false
	}
}

// A gottenFolder is what "lonja get" answers of a folder.
type gottenFolder struct {
	gotten
	Kind   string `json:"kind"`
	Files  int64  `json:"files"`  // that were wanted
	Kept   int64  `json:"kept"`   // of them, those that were there already
	Copied int64  `json:"copied"` // and those whose content was here under another name
}

// gottenFolderOf says what came of a folder that was fetched to path.
func gottenFolderOf(got node.FetchedFolder, path string) gottenFolder {
	return gottenFolder{gottenOf(got.Fetched, path), kindFolder, got.Files, got.Kept, got.Copied}
}

func (g gottenFolder) String() string {
	text := fmt.Sprintf("%s: %d files, %d bytes", lonja.Printable(g.Path), g.Files, g.Bytes)
	if len(g.From) > 0 {
		text += " from " + lonja.Printable(strings.Join(g.From, ", "))
	}
	if here := g.Kept + g.Copied; here > 0 {
		text += fmt.Sprintf(", of which %d were here", here)
	}
	return text
}

// mostRenamed bounds how many changed names are told.
const mostRenamed = 20

// A renameSayer says which files of a folder have other names here.
type renameSayer struct {
	say   func(text string)
	times int
}

func (s *renameSayer) renamed(path, local string) {
	if s.times++; s.times <= mostRenamed {
		s.say(fmt.Sprintf("%s cannot have that name here, and is called %s", lonja.Printable(path), lonja.Printable(local)))
	}
}

// done says how many were not told.
func (s *renameSayer) done() {
	if s.times > mostRenamed {
		s.say(fmt.Sprintf("%d more have other names here", s.times-mostRenamed))
	}
	s.times = 0
}
