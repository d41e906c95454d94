package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/authority"
	"lonja/internal/hashing"
	"lonja/internal/identity"
	"lonja/internal/link"
	"lonja/internal/outboards"
	"lonja/internal/telemetry"
	"lonja/internal/trust"
)

// memberOptions say which directory is meant in the secure dialect, and with
// which key.
type memberOptions struct {
	keyOptions
	server   string
	port     int
	stateDir string
	verbose  bool
}

func (o *memberOptions) addFlags(f *pflag.FlagSet) {
	addServerFlags(f, &o.server, &o.port)
	o.keyOptions.addFlags(f)
	f.StringVar(&o.stateDir, "state-dir", "", "`directory` of what is published here (default $XDG_STATE_HOME/lonja)")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "tell also of single connections")
}

// addServerFlags adds the flags that say where the directory is.
func addServerFlags(f *pflag.FlagSet, server *string, port *int) {
	f.StringVarP(server, "server", "s", "", "`host` of the directory, host:port, several with commas between them, or a lonja:// link (default: the one at which a name was registered from here)")
	f.IntVarP(port, "port", "p", link.DefaultPort, "`port` of the directory, if none stands behind the host")
}

// A site is where a directory is, and what is known of it beforehand.
type site struct {
	addresses   []link.Address
	fingerprint lonja.PeerID // zero: none
	invitation  lonja.Invitation
}

// name tells directories apart in what is kept here.
func (p site) name() string { return p.addresses[0].String() }

// remembered has the one directory at which names were registered from here be meant
// where none was said.
func (o *memberOptions) remembered() error {
	if o.server != "" {
		return nil
	}
	state, err := stateDir(o.stateDir)
	if err != nil {
		return err
	}
	names, err := readNames(state)
	if err != nil {
		return err
	}
	if o.server = names.onlyDirectory(); o.server == "" && len(names) > 1 {
		return usagef(`-s HOST is missing: names were registered from here at %s: which one? (once and for all: server = "HOST" in the [node] of the settings)`,
			lonja.Printable(strings.Join(slices.Sorted(maps.Keys(names)), " and ")))
	}
	return nil
}

// site reads --server and --port.
func (o *memberOptions) site() (site, error) {
	if o.server == "" {
		return site{}, usagef(`-s HOST is missing: which directory? (set it once and for all: server = "HOST" in the [node] of the settings, see "lonja config")`)
	}
	if o.port < 1 || o.port > 65535 {
		return site{}, usagef("port %d is not between 1 and 65535", o.port)
	}
	if strings.HasPrefix(o.server, "lonja://") {
		i, err := link.ParseInvitation(o.server)
		return site{[]link.Address{i.Address}, i.Fingerprint, i.Secret}, err
	}
	var p site
	for host := range strings.SplitSeq(o.server, ",") {
		a, err := link.ParseAddressOr(strings.TrimSpace(host), uint16(o.port))
		if err != nil {
			return site{}, usagef("-s %s: %w", lonja.Printable(o.server), err)
		}
		p.addresses = append(p.addresses, a)
	}
	return p, nil
}

// addressList is what --server takes for the same directory. The fingerprint is
// pinned, and an invitation is nobody's business any more.
func (p site) addressList() string {
	all := make([]string, len(p.addresses))
	for i, a := range p.addresses {
		all[i] = a.String()
	}
	return strings.Join(all, ",")
}

// A member is this machine as a directory knows it: a key, a connection that is
// made when it is needed, and what is trusted.
type member struct {
	site
	key    identity.Key
	client *apiclient.Client
	trust  *trust.Store
	log    *slog.Logger
	state  string
	known  []lonja.PeerID // what the directory may prove itself with, the latest last; none at first contact with nobody there

	authority atomic.Pointer[authority.Set]
	met       atomic.Bool // it was pinned, so that known counts no more
	notices   io.Writer
}

// open makes the key at first use, and reads what is trusted. Where no directory was
// said, it is the remembered one. The caller closes the member.
func (o *memberOptions) open(cmd *cobra.Command) (*member, error) {
	if err := o.remembered(); err != nil {
		return nil, err
	}
	where, err := o.site()
	if err != nil {
		return nil, err
	}
	file, err := o.keyOptions.file()
	if err != nil {
		return nil, err
	}
	key, made, err := file.LoadOrMake()
	if err != nil {
		return nil, err
	}
	if made {
		fmt.Fprintf(cmd.ErrOrStderr(), "lonja: made a key for this machine, in %s: see \"lonja id\"\n", file.Path())
	}
	state, err := stateDir(o.stateDir)
	if err != nil {
		return nil, err
	}
	m := &member{
		site: where, key: key, trust: trust.New(file.Dir, nil), state: state,
		log: telemetry.NewLog(os.Stderr, logLevel(slog.LevelWarn, o.verbose)), notices: cmd.ErrOrStderr(),
	}
	config, err := m.directoryConfig()
	if err != nil {
		return nil, err
	}
	m.client = apiclient.New(apiclient.Options{Addresses: strings.Split(where.addressList(), ","), TLS: config, Log: m.log})
	return m, nil
}

func (m *member) close() { _ = m.client.Close() }

// directoryConfig says how the directory is known: by what is pinned, by the
// link that led here, or at first contact.
func (m *member) directoryConfig() (*tls.Config, error) {
	certificate, err := identity.Certificate(m.key)
	if err != nil {
		return nil, err
	}
	if m.known, err = m.pinned(); err != nil {
		return nil, err
	}
	if len(m.known) == 0 && somebodyThere() {
		id, err := askAbout(m.name(), certificate)
		if err != nil {
			return nil, err
		}
		m.known = []lonja.PeerID{id}
	}
	config := authority.DirectoryClientConfig(authority.DirectoryOptions{
		Read: m.pinned, Certificate: certificate, FirstContact: m.firstContact, Rotated: m.rotated,
	})
	verify := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if err := verify(state); err != nil {
			return explainUntrusted(err, m.name())
		}
		set, err := authority.SetOf(state)
		if err != nil {
			return err
		}
		if err := m.pin(set); err != nil {
			return err
		}
		m.authority.Store(set)
		return nil
	}
	return config, nil
}

// pinned returns what the directory may prove itself with, the latest last, by what
// the file says now: "lonja trust" counts for programs that run. None: this will be
// the first contact.
func (m *member) pinned() ([]lonja.PeerID, error) {
	var pinned []lonja.PeerID
	for _, a := range m.addresses {
		pins, err := m.trust.Pins(a)
		if err != nil {
			return nil, err
		}
		pinned = append(pinned, pins...)
	}
	switch {
	case len(pinned) > 0:
		return pinned, nil
	case m.fingerprint != (lonja.PeerID{}):
		return []lonja.PeerID{m.fingerprint}, nil
	case m.met.Load(): // and forgotten
		return nil, nil
	}
	return m.known, nil
}

func (m *member) firstContact(id lonja.PeerID) error {
	showDirectory(m.notices, m.name(), id)
	fmt.Fprintln(m.notices, "lonja: it is trusted from now on; a link with the fingerprint in it would have made sure")
	return nil
}

func (m *member) rotated(r authority.Rotation) {
	if err := m.trust.Rotate(r.From, r.To, r.Until); err != nil {
		m.log.Warn("the directory's new key is not remembered", slog.Any("error", err))
	}
}

// follow is the node's Follow: the same rules as for a new connection. A directory
// that vouches with a key that follows from none that is pinned has given up the
// earlier one, which may be stolen: it is trusted no more.
func (m *member) follow(set *authority.Set) error {
	pinned, err := m.pinned()
	if err != nil {
		return err
	}
	var rotation *authority.Rotation
	if len(pinned) == 0 {
		err = m.firstContact(set.Fingerprint())
	} else if rotation, err = set.FollowsFrom(pinned, time.Now()); rotation != nil {
		m.rotated(*rotation)
	}
	if err == nil {
		err = m.pin(set)
	}
	switch {
	case err == nil:
		m.authority.Store(set)
	case errors.Is(err, lonja.Untrusted):
		m.authority.Store(nil)
	}
	return explainUntrusted(err, m.name())
}

// pin remembers the directory's fingerprint for each of its addresses. A link
// that says another one than is pinned is not followed.
func (m *member) pin(set *authority.Set) error {
	id := set.Fingerprint()
	if m.fingerprint != (lonja.PeerID{}) && !holds(set, m.fingerprint) {
		return &authority.UnknownAuthorityError{Pinned: []lonja.PeerID{m.fingerprint}, Found: id}
	}
	for _, a := range m.addresses { // nothing is written if one of them is another
		if _, err := m.trust.CheckDirectory(a, id); err != nil {
			return err
		}
	}
	for _, a := range m.addresses {
		if err := m.trust.PinDirectory(a, id); err != nil {
			return err
		}
	}
	m.met.Store(true)
	return nil
}

// holds reports whether the authority is, or was until lately, the one with that
// fingerprint.
func holds(set *authority.Set, id lonja.PeerID) bool {
	_, err := set.FollowsFrom([]lonja.PeerID{id}, time.Now())
	return err == nil
}

// explainUntrusted says what to do about a directory that is not the one that is
// pinned.
func explainUntrusted(err error, name string) error {
	if _, changed := errors.AsType[*authority.UnknownAuthorityError](err); !changed {
		return err
	}
	return fmt.Errorf("%w, and once that is settled: lonja trust forget %s", err, name)
}

// set returns the authority that the last connection has proved.
func (m *member) set() *authority.Set { return m.authority.Load() }

// CheckUser implements node.Pins.
func (m *member) CheckUser(user lonja.UserName, ring []lonja.KeyRecord, key lonja.PublicKey) error {
	set := m.set()
	if set == nil {
		return lonja.E(lonja.Unavailable, "check key", errors.New("the directory was not reached yet, or is not trusted any more"))
	}
	return m.trust.UsersOf(set.Fingerprint()).CheckUser(user, ring, key)
}

// Users implements node.Pins.
func (m *member) Users() ([]lonja.UserName, error) {
	set := m.set()
	if set == nil {
		return nil, nil
	}
	return m.trust.UsersOf(set.Fingerprint()).Users()
}

// hashes opens what is remembered of files' contents, or an empty memory where
// that cannot be. The caller closes it.
func (m *member) hashes() *hashing.Cache {
	dir := cacheDir(m.state)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var cache *hashing.Cache
		if cache, err = hashing.OpenCache(filepath.Join(dir, "hashes"), hashing.CacheOptions{}); err == nil {
			return cache
		}
	}
	m.log.Warn("files are hashed anew each time", slog.Any("error", err))
	return hashing.NewCache(hashing.CacheOptions{})
}

// outboards keeps the hashes of files' pieces, as far as that can be. The caller
// closes it.
func (m *member) outboards() *outboards.Store {
	return outboards.New(filepath.Join(cacheDir(m.state), "outboards"), outboards.Options{Log: m.log})
}

// cacheDir returns the directory for what can be made again, by the XDG base
// directory specification, or else the one given.
func cacheDir(otherwise string) string {
	if dir := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "lonja")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".cache", "lonja")
	}
	return otherwise
}
