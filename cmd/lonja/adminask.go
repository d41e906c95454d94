package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/operator"
	"lonja/internal/telemetry"
)

type adminAskOptions struct {
	adminOptions
	json bool
	yes  bool
}

func newAdminUsersCommand() *cobra.Command {
	var opts adminAskOptions
	cmd := &cobra.Command{
		Use:     "users",
		Short:   "list the accounts",
		Long:    "Lists every account: its name, how many files it has published, and where its user is connected.",
		Example: "  lonja admin users\n  lonja admin users --json | jq 'select(.connected) | .user'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return runAdminUsers(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.json, "json", false, "a JSON object a line")
	notSettings(cmd.Flags(), "json")
	return cmd
}

func runAdminUsers(cmd *cobra.Command, opts adminAskOptions) error {
	client, err := newAdminClient(opts.address)
	if err != nil {
		return err
	}
	answer, err := client.ask(cmd.Context(), http.MethodGet, "users", nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	out := bufio.NewWriter(cmd.OutOrStdout())
	print := printUser
	if opts.json {
		print = func(w io.Writer, a operator.Account) error { return json.NewEncoder(w).Encode(a) }
	}
	for lines := json.NewDecoder(answer); ; {
		var a operator.Account
		err := lines.Decode(&a)
		if err == nil {
			err = print(out, a)
		}
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
	}
}

func printUser(w io.Writer, a operator.Account) error {
	presence := "not connected"
	if a.Connected {
		presence = "connected at " + a.At.String()
	}
	_, err := fmt.Fprintf(w, "%-24s %8d published  %s\n", lonja.Printable(string(a.User)), a.Publications, presence)
	return err
}

func newAdminStatsCommand() *cobra.Command {
	var opts adminAskOptions
	cmd := &cobra.Command{
		Use:     "stats",
		Short:   "count what the directory holds",
		Long:    "Counts what the directory holds. /metrics has the same figures, and more, for Prometheus.",
		Example: "  lonja admin stats\n  lonja admin stats --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return runAdminStats(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.json, "json", false, "as JSON")
	notSettings(cmd.Flags(), "json")
	return cmd
}

func runAdminStats(cmd *cobra.Command, opts adminAskOptions) error {
	client, err := newAdminClient(opts.address)
	if err != nil {
		return err
	}
	var stats operator.Stats
	if err := client.askJSON(cmd.Context(), http.MethodGet, "stats", nil, &stats); err != nil {
		return err
	}
	if opts.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(stats)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "accounts\t%d\nconnected\t%d\npublications\t%d\nbase names\t%d\nwords\t%d\nrevision\t%d\nbehind by\t%d\n",
		stats.Accounts, stats.Connected, stats.Publications, stats.BaseNames, stats.Words, stats.Applied, stats.Lag)
	return w.Flush()
}

func newAdminCheckCommand() *cobra.Command {
	var opts adminAskOptions
	cmd := &cobra.Command{
		Use:   "check",
		Short: "compare the index with the store, and every record with its checksum",
		Long: `Reads every record of the store, and compares it with its checksum and with the
index. The directory goes on working meanwhile. Anything wrong is exit status 1.`,
		Example: "  lonja admin check\n  lonja admin check --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return runAdminCheck(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.json, "json", false, "as JSON")
	notSettings(cmd.Flags(), "json")
	return cmd
}

func runAdminCheck(cmd *cobra.Command, opts adminAskOptions) error {
	client, err := newAdminClient(opts.address)
	if err != nil {
		return err
	}
	var report operator.CheckReport
	if err := client.askJSON(cmd.Context(), http.MethodPost, "check", nil, &report); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if opts.json {
		err = json.NewEncoder(out).Encode(report)
	} else {
		err = printCheck(out, &report)
	}
	if err == nil && report.Wrong() > 0 {
		err = fmt.Errorf("faults found: %d", report.Wrong())
	}
	return err
}

func printCheck(out io.Writer, report *operator.CheckReport) error {
	if report.Wrong() == 0 {
		_, err := fmt.Fprintf(out, "%d records read: all are whole, and the index has them\n", report.Records)
		return err
	}
	for _, problem := range report.Problems {
		fmt.Fprintln(out, lonja.Printable(problem))
	}
	_, err := fmt.Fprintf(out, "%d records read: %d damaged, %d missing in the index, %d only there, %d different\n",
		report.Records, report.Damaged, report.Missing, report.Extra, report.Different)
	return err
}

func newAdminRemoveUserCommand() *cobra.Command {
	var opts adminAskOptions
	cmd := &cobra.Command{
		Use:   "remove-user NAME",
		Short: "remove an account and what it published",
		Long: `Removes an account, its presence and its publications, as its user could. The
name is free for anybody afterwards. On a terminal it asks first.`,
		Example: "  lonja admin remove-user ana\n  lonja admin remove-user --yes ana",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runAdminRemoveUser(cmd, opts, args[0]) },
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "do not ask")
	notSettings(cmd.Flags(), "yes")
	return cmd
}

func runAdminRemoveUser(cmd *cobra.Command, opts adminAskOptions, name string) error {
	client, err := newAdminClient(opts.address)
	if err != nil {
		return err
	}
	user, err := lonja.ParseUserName(name)
	if err != nil {
		return usageError{err}
	}
	in := cmd.InOrStdin()
	if !opts.yes && telemetry.IsTerminal(in) {
		fmt.Fprintf(cmd.ErrOrStderr(), "Remove the account %s and everything it published? [y/N] ", lonja.Printable(name))
		reply, err := bufio.NewReader(in).ReadString('\n')
		if err != nil || !strings.EqualFold(strings.TrimSpace(reply), "y") {
			return errors.New("nothing was removed")
		}
	}
	request := struct {
		User operator.Text `json:"user"`
	}{operator.Text(user)}
	if err := client.askJSON(cmd.Context(), http.MethodPost, "remove-user", request, &struct{}{}); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", lonja.Printable(name))
	return nil
}
