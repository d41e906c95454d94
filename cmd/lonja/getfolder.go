package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/node"
	"lonja/internal/telemetry"
)

// checkInclude refuses patterns that are none.
func (o *getOptions) checkInclude() error {
	for _, pattern := range o.include {
		if !doublestar.ValidatePattern(pattern) {
			return usagef("--include %s: it is no pattern", lonja.Printable(pattern))
		}
	}
	return nil
}

// included returns what of a folder is wanted; nil for all.
func (o *getOptions) included() func(string) bool {
	if len(o.include) == 0 {
		return nil
	}
	return func(file string) bool {
		for _, pattern := range o.include {
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

// mostRenamed bounds how many changed names are told.
const mostRenamed = 20

// getFolder fetches a folder, or what is wanted of it.
func (a *asker) getFolder(cmd *cobra.Command, opts getOptions, name lonja.FileName, fetching node.Fetching) error {
	local, err := opts.place(name)
	if err != nil {
		return err
	}
	fetching.Local = local
	f := node.FolderFetching{Fetching: fetching, Include: opts.included()}
	renamed := 0
	f.Renamed = func(path, local string) {
		if renamed++; renamed <= mostRenamed {
			fmt.Fprintf(cmd.ErrOrStderr(), "lonja: %s cannot have that name here, and is called %s\n", lonja.Printable(path), lonja.Printable(local))
		}
	}
	done := func() {}
	if telemetry.IsTerminal(os.Stderr) {
		f.Begin = func(bytes int64) (progress func(int64)) {
			progress, done = telemetry.NewSizedBar(os.Stderr, lonja.Printable(filepath.Base(local)), bytes)
			return progress
		}
	}
	fetched, err := a.errand.FetchFolder(cmd.Context(), f)
	done()
	if renamed > mostRenamed {
		fmt.Fprintf(cmd.ErrOrStderr(), "lonja: %d more have other names here\n", renamed-mostRenamed)
	}
	if err != nil {
		return err
	}
	return showFolder(cmd, fetched, local, opts.json)
}

func showFolder(cmd *cobra.Command, fetched node.FetchedFolder, local string, asJSON bool) error {
	for _, liar := range fetched.Liars {
		fmt.Fprintf(cmd.ErrOrStderr(), "lonja: %s sent something else than the files, which were fetched from others\n", lonja.Printable(string(liar)))
	}
	from := make([]string, len(fetched.From))
	for i, user := range fetched.From {
		from[i] = string(user)
	}
	got := gottenFolder{
		gotten{fetched.ID.String(), string(fetched.Name), from, local, fetched.Bytes},
		kindFolder, fetched.Files, fetched.Kept, fetched.Copied,
	}
	if asJSON {
		return writeJSONLine(cmd.OutOrStdout(), got)
	}
	text := fmt.Sprintf("%s: %d files, %d bytes", lonja.Printable(local), got.Files, got.Bytes)
	if len(from) > 0 {
		text += " from " + lonja.Printable(strings.Join(from, ", "))
	}
	if here := got.Kept + got.Copied; here > 0 {
		text += fmt.Sprintf(", of which %d were here", here)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}
