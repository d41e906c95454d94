package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/bench"
	"lonja/internal/natsstore"
)

// A benchReport is what a measurement has to tell.
type benchReport interface {
	WriteTable(w io.Writer) error
}

// printBenchReport prints a report in one of its two forms.
func printBenchReport(cmd *cobra.Command, report benchReport, asJSON bool) error {
	if asJSON {
		return bench.WriteJSON(cmd.OutOrStdout(), report)
	}
	return report.WriteTable(cmd.OutOrStdout())
}

func addBenchJSONFlag(f *pflag.FlagSet, asJSON *bool) {
	f.BoolVar(asJSON, "json", false, "print the report, with each measurement, as JSON")
	notSettings(f, "json")
}

// clusterOptions name a cluster to measure, as those of "lonja server" do.
type clusterOptions struct{ servers, credentials, ca, cert, key string }

func (o *clusterOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.servers, "store", "", "measure on a NATS cluster with these `URLs`, nats://one,two,three, in streams that are removed again")
	f.StringVar(&o.credentials, "store-credentials", "", "`file` with NATS credentials (.creds)")
	f.StringVar(&o.ca, "store-ca", "", "`file` with the certificates that the cluster's servers are checked with (PEM)")
	f.StringVar(&o.cert, "store-cert", "", "`file` with our certificate, if the cluster asks for one (PEM)")
	f.StringVar(&o.key, "store-key", "", "`file` with the key of --store-cert (PEM)")
}

// cluster returns the options of the cluster, nil if there is none.
func (o *clusterOptions) cluster() (*natsstore.Options, error) {
	switch {
	case (o.cert == "") != (o.key == ""):
		return nil, usagef("--store-cert and --store-key go together")
	case o.servers != "":
		return &natsstore.Options{Servers: o.servers, Credentials: o.credentials, CA: o.ca, Cert: o.cert, Key: o.key}, nil
	case o.credentials != "" || o.ca != "" || o.cert != "":
		return nil, usagef("the flags --store-... want a --store")
	}
	return nil, nil
}

// noteBench tells the person that waits what goes on.
func noteBench(cmd *cobra.Command) func(string) {
	return func(what string) { fmt.Fprintln(cmd.ErrOrStderr(), what) }
}
