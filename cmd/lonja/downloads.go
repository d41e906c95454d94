package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja"
	"lonja/internal/downloads"
	"lonja/internal/shell"
	"lonja/internal/unfinished"
)

// listOptions are those of a command that looks at the list of downloads.
type listOptions struct {
	stateDir string
	json     bool
}

func (o *listOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.stateDir, "state-dir", "", "`directory` that the list of downloads is below (default $XDG_STATE_HOME/lonja)")
	addJSONFlag(f, &o.json)
}

func (o *listOptions) list() (*downloads.List, error) {
	state, err := stateDir(o.stateDir)
	if err != nil {
		return nil, err
	}
	return downloadsBelow(state), nil
}

// downloadsBelow returns the list of downloads in a state directory.
func downloadsBelow(state string) *downloads.List {
	return downloads.New(filepath.Join(state, "downloads"))
}

// on has do treat the download that a person means.
func (o *listOptions) on(typed string, do func(*downloads.List, downloads.Download) error) error {
	list, err := o.list()
	if err != nil {
		return err
	}
	d, err := list.Find(typed)
	if err != nil {
		return err
	}
	return do(list, d)
}

func newDownloadsCommand() *cobra.Command {
	var opts listOptions
	cmd := &cobra.Command{
		Use:   "downloads",
		Short: "list the downloads: queued, running, paused, failed and done",
		Long: `Lists what "lonja get" fetches, has fetched, or is to fetch. ID is what the other
commands take, of which the beginning is enough: pause, resume, cancel, why. A file's
base name does as well.

"lonja get" fetches at once; with --background it only queues, and a running
"lonja share" or "lonja client" fetches what is queued, or "lonja downloads run".`,
		Example: `  lonja downloads
  lonja downloads --json
  lonja downloads priority k7 5
  lonja downloads run
  lonja downloads clear`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := opts.list()
			if err != nil {
				return err
			}
			return showDownloads(cmd, list, opts.json)
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.AddCommand(newPriorityCommand(), newClearCommand(), newDownloadsRunCommand())
	return cmd
}

// A downloadLine is a download as programs are told it.
type downloadLine struct {
	ID        string    `json:"id"`
	State     string    `json:"state"`
	File      string    `json:"file,omitempty"`
	Name      string    `json:"name,omitempty"`
	Path      string    `json:"path,omitempty"`
	PathBytes []byte    `json:"path_bytes,omitempty"`
	Kind      string    `json:"kind,omitempty"` // file or folder
	Include   []string  `json:"include,omitempty"`
	Size      int64     `json:"size"`     // in bytes
	Received  int64     `json:"received"` // bytes that are here, as far as they are recorded
	Speed     int64     `json:"speed,omitempty"`
	Priority  int       `json:"priority"`
	Directory string    `json:"directory,omitempty"`
	User      string    `json:"user,omitempty"`
	From      string    `json:"from,omitempty"`
	Process   int       `json:"process,omitempty"` // that fetches it
	Tries     int       `json:"tries,omitempty"`   // in vain
	Again     time.Time `json:"again,omitzero"`    // when it is tried again
	Added     time.Time `json:"added,omitzero"`
	Changed   time.Time `json:"changed,omitzero"`
	Error     string    `json:"error,omitempty"`

	left string // for people
}

func lineOf(d downloads.Download) downloadLine {
	line := downloadLine{
		ID: d.ID, State: string(d.State), Name: string(d.Name), Path: d.Target, PathBytes: notText(d.Target), Size: d.Size, Received: d.Received,
		Priority: d.Priority, Directory: d.Site, User: string(d.User), From: string(d.From), Tries: d.Tries, Again: d.Again,
		Added: d.Added, Changed: d.Changed, Error: d.Error,
	}
	if !d.File.IsZero() {
		line.File, line.Kind, line.Include = d.File.String(), kindOfDownload(d), d.Include
	}
	if d.State == downloads.Running {
		line.Process = d.Process
	}
	if d.State == downloads.Done {
		line.Received = d.Size
	} else {
		line.Received = here(d)
	}
	return line
}

func kindOfDownload(d downloads.Download) string {
	if d.Folder {
		return kindFolder
	}
	return kindFile
}

// here returns how many bytes are here of a download that is not done: who was killed
// has said nothing, but the disk tells.
func here(d downloads.Download) int64 {
	return max(d.Received, unfinished.Recorded(d.Target, d.File, d.Size))
}

// showDownloads lists what there is, with what those say that are running.
func showDownloads(cmd *cobra.Command, list *downloads.List, asJSON bool) error {
	all, err := list.All()
	if err != nil {
		return err
	}
	rows := make([]downloadLine, 0, len(all))
	for _, d := range all {
		line := lineOf(d)
		if d.State == downloads.Running {
			if s, there, err := list.StatusOf(d.ID); err == nil && there {
				line.Received, line.Size, line.Speed = s.Received, s.Size, s.Speed
				if left, known := s.Left(); known {
					line.left = left.Round(time.Second).String()
				}
			}
		}
		rows = append(rows, line)
	}
	return writeRows(cmd.OutOrStdout(), asJSON, []string{"ID", "STATE", "DONE", "SIZE", "SPEED", "LEFT", "PRIORITY", "TO", "NOTE"}, rows, downloadLine.cells)
}

func (l downloadLine) cells() []string {
	if l.State == string(downloads.Damaged) {
		return []string{l.ID, l.State, "-", "-", "-", "-", "-", "-", l.Error}
	}
	speed, left, note := "-", "-", firstLine(l.Error)
	if l.State == string(downloads.Running) {
		speed = shell.FormatSize(l.Speed) + "/s"
	}
	if l.left != "" {
		left = l.left
	}
	if !l.Again.IsZero() {
		note = "tried again at " + l.Again.Local().Format(time.TimeOnly) + ": " + note
	}
	return []string{l.ID, l.State, percent(l.Received, l.Size), shell.FormatSize(l.Size), speed, left, strconv.Itoa(l.Priority), l.Path, note}
}

func percent(part, whole int64) string {
	if whole <= 0 {
		return "100%"
	}
	return strconv.Itoa(int(float64(part)/float64(whole)*100)) + "%"
}

func firstLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return first
}

func newPriorityCommand() *cobra.Command {
	var opts listOptions
	cmd := &cobra.Command{
		Use:   "priority ID NUMBER",
		Short: "say which queued downloads come first",
		Long: `Gives a download a priority: a number, 0 for those that nobody gave one. When there
is room for another download, the queued one with the highest priority is begun; of
those with the same, the one that was added first. What is running goes on.`,
		Example: `  lonja downloads priority k7 5
  lonja downloads priority k7 -- -1`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			priority, err := strconv.Atoi(args[1])
			if err != nil || int(int32(priority)) != priority {
				return usagef("%s is no number that a priority can be", lonja.Printable(args[1]))
			}
			return opts.on(args[0], func(list *downloads.List, d downloads.Download) error {
				if err := list.SetPriority(d.ID, priority); err != nil {
					return err
				}
				return opts.show(cmd, list, d.ID, "priority "+args[1]+" for")
			})
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// show says what was done with a download.
func (o *listOptions) show(cmd *cobra.Command, list *downloads.List, id, what string) error {
	d, err := list.Find(id)
	if err != nil {
		return err
	}
	return o.said(cmd, d, what)
}

func (o *listOptions) said(cmd *cobra.Command, d downloads.Download, what string) error {
	if o.json {
		return writeJSONLine(cmd.OutOrStdout(), lineOf(d))
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s download %s, %s\n", what, d.ID, lonja.Printable(d.Target))
	return err
}

func newClearCommand() *cobra.Command {
	var opts listOptions
	cmd := &cobra.Command{
		Use:   "clear",
		Short: "forget the downloads that are done or failed",
		Long: `Takes the downloads off the list that are done, and those that failed with what had
come of them. The files that were fetched stay.`,
		Example: `  lonja downloads clear`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := opts.list()
			if err != nil {
				return err
			}
			cleared, err := list.Clear()
			for _, d := range cleared {
				err = errors.Join(err, opts.said(cmd, d, "forgot"))
			}
			return err
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func newPauseCommand() *cobra.Command {
	return newStopCommand("paused", (*downloads.List).Pause, &cobra.Command{
		Use:   "pause DOWNLOAD",
		Short: "have a download wait",
		Long: `Stops a download, whoever fetches it, and has it wait for "lonja resume". What has
come is kept. DOWNLOAD is the beginning of its id, as "lonja downloads" shows it, or
the base name of its file.`,
		Example: `  lonja pause k7`,
	})
}

func newCancelCommand() *cobra.Command {
	return newStopCommand("canceled", (*downloads.List).Cancel, &cobra.Command{
		Use:   "cancel DOWNLOAD",
		Short: "give a download up",
		Long: `Stops a download, whoever fetches it, and takes it off the list. What has come of it
is removed; a file that is there already stays, also one of a folder. DOWNLOAD is the beginning of its id,
as "lonja downloads" shows it, or the base name of its file.`,
		Example: `  lonja cancel k7`,
	})
}

// newStopCommand completes a command that does something to one download.
func newStopCommand(done string, do func(*downloads.List, string) error, cmd *cobra.Command) *cobra.Command {
	var opts listOptions
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return opts.on(args[0], func(list *downloads.List, d downloads.Download) error {
			if err := do(list, d.ID); err != nil {
				return err
			}
			if now, err := list.Find(d.ID); err == nil {
				d = now
			} else {
				d.State = downloads.State(done)
			}
			return opts.said(cmd, d, done)
		})
	}
	opts.addFlags(cmd.Flags())
	return cmd
}
