package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"lonja"
	"lonja/internal/apiserver"
	"lonja/internal/authority"
	"lonja/internal/identity"
	"lonja/internal/telemetry"
)

// showDirectory shows the fingerprint of a directory at first contact.
func showDirectory(w io.Writer, name string, id lonja.PeerID) {
	fmt.Fprintf(w, "lonja: first contact with the directory at %s. Its fingerprint is\n  %s\n  %s\n",
		lonja.Printable(name), identity.Words(id), identity.Hex(id))
}

// somebodyThere reports whether there is a person to ask.
func somebodyThere() bool { return telemetry.IsTerminal(os.Stdin) && telemetry.IsTerminal(os.Stderr) }

// contactTimeout bounds the look at a directory that was never met.
const contactTimeout = 10 * time.Second

// askAbout looks at a directory that was never met, and asks whether its
// fingerprint is the right one. It does so apart from the real connection,
// because people take longer than a handshake may.
func askAbout(address string, own tls.Certificate) (lonja.PeerID, error) {
	id, err := fingerprintOf(address, own)
	if err != nil {
		return id, err
	}
	showDirectory(os.Stderr, address, id)
	fmt.Fprint(os.Stderr, "Is that what you were told? It is trusted from then on [y/N] ")
	answer, err := bufio.NewReader(io.LimitReader(os.Stdin, 80)).ReadString('\n')
	if err != nil {
		return id, lonja.E(lonja.Canceled, "ask", err)
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return id, lonja.E(lonja.Untrusted, "connect", errors.New("the fingerprint was not accepted"))
	}
	return id, nil
}

// fingerprintOf returns the fingerprint that a directory proves.
func fingerprintOf(address string, own tls.Certificate) (id lonja.PeerID, err error) {
	seen := errors.New("seen")
	config := authority.DirectoryClientConfig(authority.DirectoryOptions{
		Certificate: own, Protocols: []string{apiserver.ProtocolFrames},
		FirstContact: func(found lonja.PeerID) error { id = found; return seen },
	})
	ctx, cancel := context.WithTimeout(context.Background(), contactTimeout)
	defer cancel()
	dialer := tls.Dialer{NetDialer: &net.Dialer{}, Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	switch {
	case err == nil:
		_ = conn.Close()
	case !errors.Is(err, seen) && id == (lonja.PeerID{}):
		return id, lonja.E(lonja.KindOf(err), "connect", err)
	}
	return id, nil
}
