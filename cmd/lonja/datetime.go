package main

import (
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/datetime"
	"lonja/internal/telemetry"
)

type datetimeOptions struct {
	host string
	port int
}

func (o *datetimeOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.host, "host", "", "`address` to listen on (default all, IPv4 and IPv6)")
	f.IntVarP(&o.port, "port", "p", datetime.DefaultPort, "`port` to listen on; 0 takes any free one")
}

func newDatetimeCommand() *cobra.Command {
	var opts datetimeOptions
	cmd := &cobra.Command{
		Use:   "datetime",
		Short: "run the date-time service",
		Long: `Runs the date-time service: SOAP 1.1 over HTTP, described by the WSDL at /?wsdl.
Its one operation, get_datetime, takes a string, ignores it, and returns the
local time as DD/MM/YYYY HH:MM:SS. Where it listens goes to standard error.
SIGINT and SIGTERM finish what was accepted, then end.`,
		Example: `  lonja datetime
  lonja datetime --host 127.0.0.1 --port 0`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDatetime(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runDatetime(cmd *cobra.Command, opts datetimeOptions) error {
	ln, err := listen(opts.host, opts.port)
	if err != nil {
		return err
	}
	stderr := cmd.ErrOrStderr()
	fmt.Fprintf(stderr, "date-time service on %s, WSDL at %s\n", ln.Addr(), wsdlURL(ln.Addr()))
	service := datetime.NewService(datetime.ServiceOptions{Log: telemetry.NewLog(stderr, slog.LevelInfo)})
	return service.Serve(cmd.Context(), ln)
}

// wsdlURL returns where this machine finds the WSDL of a service that listens
// at addr.
func wsdlURL(addr net.Addr) string {
	host := addr.String()
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		host = fmt.Sprintf("127.0.0.1:%d", tcp.Port)
	}
	return "http://" + host + "/?wsdl"
}
