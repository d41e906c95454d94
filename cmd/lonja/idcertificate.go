package main

import (
	"encoding/pem"

	"github.com/spf13/cobra"
)

func newIDCertificateCommand() *cobra.Command {
	var opts askOptions
	var out string
	cmd := &cobra.Command{
		Use:   "certificate",
		Short: "write what curl needs to fetch from a node",
		Long: `Asks the directory for a certificate, as a node does, and writes it to standard
output, or to a file that is not there yet, with the key of this machine behind it:
"curl --cert" takes that. The key is not sealed there: who reads the file has it. The
certificate lasts some hours.`,
		Example: `  lonja id certificate -o me.pem
  curl -k --cert me.pem -o film https://192.0.2.7:4445/v1/files/6437b3ac38465133...`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return opts.as(cmd, func(a *asker) error { return a.writeCertificate(cmd, out) })
		},
	}
	opts.memberOptions.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&opts.user, "user", "", "ask as `name` (default: the one name that was registered from here)")
	cmd.Flags().StringVarP(&out, "output", "o", "", "`file` to make, for its owner only, instead of standard output")
	notSettings(cmd.Flags(), "output")
	return cmd
}

func (a *asker) writeCertificate(cmd *cobra.Command, out string) error {
	certificate, err := a.errand.Certificate(cmd.Context())
	if err != nil {
		return err
	}
	var text []byte
	for _, der := range certificate.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return writeSecret(cmd, out, append(text, a.key.PEM().Bytes()...))
}
