package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/node"
	"lonja/internal/telemetry"
)

// runPublishFolders publishes directories as folders.
func runPublishFolders(cmd *cobra.Command, opts publishOptions, paths []string) error {
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil {
			return usageError{err}
		} else if !info.IsDir() {
			return usagef("%s is not a directory: --folder publishes directories", lonja.Printable(path))
		}
	}
	return opts.askOptions.as(cmd, func(a *asker) error {
		offer, err := opts.offer(cmd.Context(), a)
		if err != nil {
			return err
		}
		var errs []error
		for _, path := range paths {
			if cmd.Context().Err() != nil {
				errs = append(errs, lonja.E(lonja.Canceled, "publish", nil))
				break
			}
			offer.Name = lonja.FileName(opts.as)
			if offer.Path, err = filepath.Abs(path); err == nil {
				err = a.publishFolder(cmd, offer, opts.json)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

// mostLeftOut bounds how much is told of what was left out of a folder.
const mostLeftOut = 20

// publishFolder publishes one directory, and says so, and what of it was left out.
func (a *asker) publishFolder(cmd *cobra.Command, offer node.Offer, asJSON bool) error {
	done := func() {}
	if telemetry.IsTerminal(os.Stderr) {
		offer.Progress, done = telemetry.NewTransferBar(os.Stderr)("hashing " + lonja.Printable(filepath.Base(offer.Path)))
	}
	var mu sync.Mutex // LeftOut is called from several goroutines
	var told []string
	left := 0
	l, err := a.errand.OfferFolder(cmd.Context(), node.FolderOffer{Offer: offer, Skip: leftOut, LeftOut: func(path, why string) {
		mu.Lock()
		defer mu.Unlock()
		if left++; left <= mostLeftOut {
			told = append(told, fmt.Sprintf("left out: %s: %s", lonja.Printable(path), why))
		}
	}})
	done()
	if errors.Is(err, lonja.AlreadyPublished) && l.Proof != nil {
		err = nil // the same
	}
	for _, line := range told {
		fmt.Fprintf(cmd.ErrOrStderr(), "lonja: %s\n", line)
	}
	if left > len(told) {
		fmt.Fprintf(cmd.ErrOrStderr(), "lonja: left out: %d more\n", left-len(told))
	}
	if err != nil {
		return err
	}
	return showPublished(cmd.OutOrStdout(), a.published(a.user, l), asJSON)
}
