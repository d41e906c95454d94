package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/node"
	"lonja/internal/telemetry"
)

type publishOptions struct {
	askOptions
	offerOptions
	as     string
	folder bool
}

// offerOptions say how files are published.
type offerOptions struct {
	description string
	to          []string
}

func newPublishCommand() *cobra.Command {
	var opts publishOptions
	cmd := &cobra.Command{
		Use:   "publish FILE|DIR...",
		Short: "publish files of this machine",
		Long: `Publishes each FILE under its base name, and of each DIR all that is in it, under
its path from DIR's own name on: others never see where it is on this machine.
Hidden and unfinished files in a DIR are left out, and symbolic links not followed.

A file is hashed, which takes a while if it is big, then signed and listed. Others
can fetch it while "lonja share" or "lonja client" of the same user runs here. When
the file changes it is not served any more: publish it again.

With --folder, each DIR is published as one object instead: it is listed once, and
"lonja get" fetches it whole, or those files in it that are asked for. When a file in
it changes, the folder is not served any more: publish it again.

Of many files, each is told of with --verbose or --json only. One that cannot be
published does not keep the others from it; the exit status is 1 then.

With --to, only those users, and you, can see and fetch it.`,
		Example: `  lonja publish poem.txt -d "by Shelley"
  lonja publish photos --to luis,eva
  lonja publish --folder photos --as "photos 2026"
  lonja publish /tmp/x.ogg --as "songs/the lark.ogg"`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runPublish(cmd, opts, args) },
	}
	opts.askOptions.addFlags(cmd.Flags())
	cmd.Flags().StringVarP(&opts.description, "description", "d", "", "what others read of it")
	cmd.Flags().StringSliceVar(&opts.to, "to", nil, "only for these `users`, with commas between them")
	cmd.Flags().StringVar(&opts.as, "as", "", "publish it under this `name`; what is in a DIR, below it")
	cmd.Flags().BoolVar(&opts.folder, "folder", false, "publish each DIR as one object")
	notSettings(cmd.Flags(), "description", "to", "as", "folder")
	return cmd
}

func runPublish(cmd *cobra.Command, opts publishOptions, paths []string) error {
	if opts.as != "" && len(paths) > 1 {
		return usagef("--as names one FILE or DIR, not %d", len(paths))
	}
	if err := opts.checkAudience(cmd); err != nil {
		return err
	}
	if opts.folder {
		return runPublishFolders(cmd, opts, paths)
	}
	files, err := offered(cmd.Context(), paths, opts.as)
	if err != nil {
		return err
	}
	return opts.askOptions.as(cmd, func(a *asker) error {
		offer, err := opts.offer(cmd.Context(), a)
		if err != nil {
			return err
		}
		if len(files) == 1 {
			offer.Path, offer.Name = files[0].Path, files[0].Name
			return a.publish(cmd, offer, opts.json)
		}
		return a.publishMany(cmd, opts, offer, files)
	})
}

// checkAudience refuses a --to that names nobody: it comes of a variable that is empty,
// and taking it for everybody would show others what was meant for a few.
func (o *offerOptions) checkAudience(cmd *cobra.Command) error {
	if cmd.Flags().Changed("to") && len(o.to) == 0 {
		return usagef("--to names nobody: give the users, with commas between them, or leave --to out to publish for everybody")
	}
	return nil
}

// offer returns what all files that are published have in common.
func (o *offerOptions) offer(ctx context.Context, a *asker) (offer node.Offer, err error) {
	if offer.Description, err = lonja.ParseDescription(o.description); err != nil {
		return offer, err
	}
	for _, text := range o.to {
		name, err := lonja.ParseMemberName(strings.TrimSpace(text))
		if err != nil {
			return offer, usagef("--to: %w", err)
		}
		if _, err := a.client.Keys(ctx, name); err != nil { // a name that is mistyped hides it from whom it is for
			if errors.Is(err, lonja.NoSuchOwner) {
				return offer, fmt.Errorf("--to %s: nobody is registered as %s: is the name right?", lonja.Printable(text), lonja.Printable(string(name)))
			}
			return offer, fmt.Errorf("--to %s: %w", lonja.Printable(text), err)
		}
		offer.Audience = append(offer.Audience, name)
	}
	return offer, nil
}

// publish publishes one file, and says so.
func (a *asker) publish(cmd *cobra.Command, offer node.Offer, asJSON bool) error {
	l, err := a.offer(cmd.Context(), offer)
	if err != nil {
		return err
	}
	return showPublished(cmd.OutOrStdout(), a.published(a.user, l), asJSON)
}

// offer publishes one file, and shows how far it is hashed. What is published
// already, just so, is no error.
func (a *asker) offer(ctx context.Context, offer node.Offer) (lonja.Listing, error) {
	done := func() {}
	if telemetry.IsTerminal(os.Stderr) {
		offer.Progress, done = telemetry.NewTransferBar(os.Stderr)("hashing " + lonja.Printable(filepath.Base(offer.Path)))
	}
	l, err := a.errand.Offer(ctx, offer)
	done()
	if errors.Is(err, lonja.AlreadyPublished) && l.Proof != nil {
		err = nil
	}
	return l, err
}

func showPublished(w io.Writer, p publishedLine, asJSON bool) error {
	if asJSON {
		return writeJSONLine(w, p)
	}
	limited := ""
	if len(p.Audience) > 0 {
		limited = " for " + p.audience()
	}
	_, err := fmt.Fprintf(w, "published %s (%s)%s\n  %s\n", lonja.Printable(p.Name), p.size(), lonja.Printable(limited), p.Link)
	return err
}

// offered returns the files that paths stand for, and the names that they get.
// With as, that is the name of the one path.
func offered(ctx context.Context, paths []string, as string) (files []node.Offer, err error) {
	for _, path := range paths {
		path, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, usageError{err}
		}
		if !info.IsDir() {
			files = append(files, node.Offer{Path: path, Name: lonja.FileName(as)})
			continue
		}
		within, err := filesBelow(ctx, path)
		if err != nil {
			return nil, err
		}
		if len(within) == 0 {
			return nil, fmt.Errorf("there is nothing to publish in %s", lonja.Printable(path))
		}
		for _, file := range within {
			files = append(files, node.Offer{Path: file, Name: nameBelow(path, file, cmp.Or(as, filepath.Base(path)))})
		}
	}
	return files, nil
}

func newUnpublishCommand() *cobra.Command {
	var opts askOptions
	cmd := &cobra.Command{
		Use:   "unpublish NAME|FILE|DIR...",
		Short: "take files off the list",
		Long: `Publishes files no more: what is listed for you under NAME, whoever published it, all
names of a FILE of this machine, or all that was published from a DIR. No file is
deleted.`,
		Example: `  lonja unpublish poem.txt
  lonja unpublish "songs/the lark.ogg"`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return opts.as(cmd, func(a *asker) error {
				var errs []error
				for _, typed := range args {
					errs = append(errs, a.unpublish(cmd, typed, opts.json))
				}
				return errors.Join(errs...)
			})
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// unpublish publishes no more what typed stands for, and says so.
func (a *asker) unpublish(cmd *cobra.Command, typed string, asJSON bool) error {
	names := a.within(typed)
	var err error
	if len(names) == 0 {
		if names, err = a.errand.Withdraw(cmd.Context(), typed); err != nil {
			return err
		}
	} else {
		for _, name := range names {
			err = errors.Join(err, a.errand.WithdrawName(cmd.Context(), name))
		}
	}
	for _, name := range names {
		if err == nil {
			err = showUnpublished(cmd.OutOrStdout(), name, asJSON)
		}
	}
	return err
}

// An unpublishedLine is what was taken off the list, as programs are told it.
type unpublishedLine struct {
	Unpublished      string `json:"unpublished"`
	UnpublishedBytes []byte `json:"unpublished_bytes,omitempty"` // where that cannot say them; see notText
}

func showUnpublished(w io.Writer, name lonja.FileName, asJSON bool) error {
	if asJSON {
		return writeJSONLine(w, unpublishedLine{string(name), notText(string(name))})
	}
	_, err := fmt.Fprintf(w, "unpublished %s\n", lonja.Printable(string(name)))
	return err
}

// within returns what is published from the directory at a path, if it is one.
func (a *asker) within(typed string) (names []lonja.FileName) {
	path, err := filepath.Abs(typed)
	if err != nil {
		return nil
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for _, l := range a.errand.Published() {
		if file, there := a.errand.PathOf(l.Name); there && (file == path || strings.HasPrefix(file, path+string(filepath.Separator))) {
			names = append(names, l.Name)
		}
	}
	return names
}
