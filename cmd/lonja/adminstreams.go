package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"lonja/internal/operator"
	"lonja/internal/telemetry"
)

// throughStandard is the FILE that stands for standard input or output.
const throughStandard = "-"

type adminStreamOptions struct {
	adminOptions
	output string
	force  bool
}

func newAdminExportCommand() *cobra.Command {
	return newAdminOutCommand("export", &cobra.Command{
		Short: "write all that the directory keeps as JSON lines",
		Long: `Writes all accounts with their keys, publications with their proofs, and
invitations as JSON lines: for other programs, and to take a directory from one
engine to another. The last line says that it is the last. Who is connected is not
in it, nor is the directory's own key.`,
		Example: "  lonja admin export -o directory.jsonl\n  lonja admin export | zstd > directory.jsonl.zst",
	})
}

func newAdminBackupCommand() *cobra.Command {
	return newAdminOutCommand("backup", &cobra.Command{
		Short: "copy every record of the running directory",
		Long: `Copies every record of the running directory, each with its checksum, and an end
mark: a copy that was cut short is never taken for a whole one. The directory
goes on working meanwhile.`,
		Example: "  lonja admin backup -o directory.backup\n  lonja admin backup | ssh elsewhere 'cat > directory.backup'",
	})
}

// newAdminOutCommand completes a command that streams out of the directory.
func newAdminOutCommand(operation string, cmd *cobra.Command) *cobra.Command {
	var opts adminStreamOptions
	cmd.Use = operation
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runAdminOut(cmd, operation, opts) }
	opts.addFlags(cmd.Flags())
	cmd.Flags().StringVarP(&opts.output, "output", "o", throughStandard, "`file` to write; it appears once it is complete")
	cmd.Flags().BoolVar(&opts.force, "force", false, "replace that file if it exists")
	notSettings(cmd.Flags(), "output", "force")
	return cmd
}

func runAdminOut(cmd *cobra.Command, operation string, opts adminStreamOptions) error {
	client, err := newAdminClient(opts.address)
	if err != nil {
		return err
	}
	if opts.output == throughStandard {
		if operation == "backup" && telemetry.IsTerminal(os.Stdout) {
			return usagef("a backup is not for a terminal: give it a file with --output")
		}
		return copyOut(cmd.Context(), client, operation, os.Stdout)
	}
	return writeWhole(opts.output, opts.force, func(file io.Writer) error {
		return copyOut(cmd.Context(), client, operation, file)
	})
}

// copyOut writes what the operation gives to out.
func copyOut(ctx context.Context, client *adminClient, operation string, out io.Writer) error {
	answer, err := client.ask(ctx, http.MethodGet, operation, nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	if telemetry.IsTerminal(out) { // what comes is seen there
		_, err = io.Copy(out, answer)
		return err
	}
	counted, done := showProgress(operation, answer)
	defer done()
	_, err = io.Copy(out, counted)
	return err
}

func newAdminImportCommand() *cobra.Command {
	return newAdminInCommand("import", runAdminImport, &cobra.Command{
		Short: "add what an export holds",
		Long: `Adds the accounts, publications and invitations of an export to the running
directory. What is there already stays as it is, so an import that was cut short can be
repeated. FILE is "-", or left out, for standard input.`,
		Example: "  lonja admin import directory.jsonl\n  zstd -dc directory.jsonl.zst | lonja admin import",
	})
}

func newAdminRestoreCommand() *cobra.Command {
	return newAdminInCommand("restore", runAdminRestore, &cobra.Command{
		Short: "bring a backup back into an empty directory",
		Long: `Brings a backup back into the running directory, which must be empty, and
used by nobody meanwhile. If the backup is cut short or damaged, a part of it is
there then: begin again with a new directory. FILE is "-", or left out, for
standard input.`,
		Example: "  lonja server --data /srv/lonja/new &\n  lonja admin restore directory.backup",
	})
}

// newAdminInCommand completes a command that streams into the directory, and
// prints what run says, also beside an error.
func newAdminInCommand(operation string, run func(context.Context, *adminClient, io.Reader) (string, error), cmd *cobra.Command) *cobra.Command {
	var opts adminOptions
	cmd.Use = operation + " [FILE]"
	cmd.Args = cobra.MaximumNArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := newAdminClient(opts.address)
		if err != nil {
			return err
		}
		in, err := openInput(args)
		if err != nil {
			return err
		}
		defer in.Close()
		counted, done := showProgress(operation, in)
		said, err := run(cmd.Context(), client, counted)
		done()
		_, writeErr := io.WriteString(cmd.OutOrStdout(), said)
		return errors.Join(err, writeErr)
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// openInput opens the FILE of a command's arguments.
func openInput(args []string) (*os.File, error) {
	if len(args) > 0 && args[0] != throughStandard {
		file, err := os.Open(args[0])
		if err != nil {
			return nil, usageError{err}
		}
		return file, nil
	}
	if telemetry.IsTerminal(os.Stdin) {
		return nil, usagef("which file is to be read?")
	}
	return os.Stdin, nil
}

func runAdminImport(ctx context.Context, client *adminClient, in io.Reader) (string, error) {
	var report operator.ImportReport
	err := client.stream(ctx, http.MethodPost, "import", in, &report)
	if refused, ok := errors.AsType[*refusal](err); err != nil && (!ok || json.Unmarshal(refused.report, &report) != nil) {
		return "", err
	}
	return fmt.Sprintf("added %d accounts and %d publications; %d were there already\n",
		report.Accounts, report.Publications, report.Skipped), err
}

func runAdminRestore(ctx context.Context, client *adminClient, in io.Reader) (string, error) {
	if err := client.stream(ctx, http.MethodPost, "restore", in, &struct{}{}); err != nil {
		return "", err
	}
	return "restored\n", nil
}

// showProgress shows on standard error, if that is a terminal, how much is read
// from the returned reader, until done is called.
func showProgress(name string, in io.Reader) (counted io.Reader, done func()) {
	if !telemetry.IsTerminal(os.Stderr) {
		return in, func() {}
	}
	report, done := telemetry.NewTransferBar(os.Stderr)(name)
	return &countedReader{in: in, report: report}, done
}

// A countedReader tells how much was read.
type countedReader struct {
	in     io.Reader
	sum    int64
	report func(int64)
}

// Read implements io.Reader.
func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	c.sum += int64(n)
	c.report(c.sum)
	return n, err
}
