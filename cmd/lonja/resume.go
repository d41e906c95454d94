package main

import (
	"cmp"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/downloads"
	"lonja/internal/link"
)

// resumeOptions say how downloads of the list are fetched: what else there is to say,
// the list has.
type resumeOptions struct {
	listOptions
	keyOptions
	partOptions
	verbose bool
}

func (o *resumeOptions) addFlags(f *pflag.FlagSet) {
	o.listOptions.addFlags(f)
	o.keyOptions.addFlags(f)
	o.partOptions.addFlags(f)
	f.BoolVarP(&o.verbose, "verbose", "v", false, "tell also of single connections")
}

// asks returns the options of who asks for a download.
func (o *resumeOptions) asks(d downloads.Download) *askOptions {
	return &askOptions{
		memberOptions: memberOptions{
			keyOptions: o.keyOptions, server: cmp.Or(d.Directory, d.Site), port: link.DefaultPort, stateDir: o.stateDir, verbose: o.verbose,
		},
		user: string(d.User), json: o.json, part: &o.partOptions,
	}
}

func newResumeCommand() *cobra.Command {
	var opts resumeOptions
	var show showOptions
	var background bool
	cmd := &cobra.Command{
		Use:   "resume DOWNLOAD",
		Short: "go on with a download",
		Long: `Goes on with a download that is paused, has failed, was interrupted, or is queued, and
shows how it goes, as "lonja get" does. Only what is missing is asked for. With
--background it is only queued: your running "lonja share" or "lonja client", or
"lonja downloads run", fetches it. DOWNLOAD is the beginning of its id, as
"lonja downloads" shows it, or the base name of its file.`,
		Example: `  lonja resume k7
  lonja resume film.mkv --background`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.partOptions.check(); err != nil {
				return err
			}
			return opts.on(args[0], func(list *downloads.List, d downloads.Download) error {
				if background {
					return opts.queueAgain(cmd, list, d)
				}
				return opts.resume(cmd, show, list, d)
			})
		},
	}
	opts.addFlags(cmd.Flags())
	show.addFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&background, "background", "b", false, "only queue it")
	notSettings(cmd.Flags(), "background")
	return cmd
}

func (o *resumeOptions) queueAgain(cmd *cobra.Command, list *downloads.List, d downloads.Download) error {
	if err := list.Resume(d.ID); err != nil {
		return err
	}
	if err := o.show(cmd, list, d.ID, "queued"); err != nil {
		return err
	}
	state, err := stateDir(o.stateDir)
	if err != nil {
		return err
	}
	return sayWhoFetches(cmd, state, d)
}

// resume fetches a download while a person looks on.
func (o *resumeOptions) resume(cmd *cobra.Command, show showOptions, list *downloads.List, d downloads.Download) error {
	if d.State == downloads.Running || !d.State.Open() {
		return list.Resume(d.ID) // which says what is wrong
	}
	return o.asks(d).as(cmd, func(a *asker) error {
		active, err := list.Claim(cmd.Context(), d.ID, downloads.Queued, downloads.Paused, downloads.Failed, downloads.Interrupted)
		if err != nil {
			return err
		}
		f := &foreground{asker: a, showOptions: show, cmd: cmd, path: d.Target, json: o.json, active: active}
		return f.fetchNow(d, nil)
	})
}
