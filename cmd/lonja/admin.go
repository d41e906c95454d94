package main

import (
	"cmp"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type adminOptions struct{ address string }

func (o *adminOptions) addFlags(f *pflag.FlagSet) {
	said := os.Getenv(adminVariable)
	if said == adminOff {
		said = ""
	}
	usual := cmp.Or(said, adminDefault)
	f.StringVar(&o.address, adminFlag, usual, "`address` of the running directory: HOST:PORT or "+unixScheme+"PATH")
	if said != "" {
		defaultIsFrom(f, adminFlag, adminVariable)
	}
}

func newAdminCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "look after a running directory",
		Long: `Asks a directory that runs on this machine ("lonja server"): who has an account,
what it holds, whether that is whole; copies it and brings copies back. It is
found where its flag --admin says; ` + adminVariable + ` sets another default for both.
` + exitHelp,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	cmd.AddCommand(newAdminUsersCommand(), newAdminRemoveUserCommand(), newAdminStatsCommand(), newAdminCheckCommand(),
		newAdminExportCommand(), newAdminImportCommand(), newAdminBackupCommand(), newAdminRestoreCommand(),
		newAdminInviteCommand(), newAdminInvitationsCommand())
	return cmd
}
