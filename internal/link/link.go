// Package link reads and writes what people send each other: the link that
// invites to a directory, with the fingerprint that makes first contact need no
// question, and the link to a content.
//
//	lonja://host:port#fingerprint
//	lonja://host:port#fingerprint.invitation
//	lonja://host:port/FILEID?name=poem.txt&owner=ana&size=631#fingerprint
//
// Fingerprints and file ids are 64 hexadecimal digits. The port is 4444 if none
// is said. What stands in a link comes from strangers: it is checked for its
// form here and believed by nobody; of parameters, those that are not known are
// passed over. The command line, and nodes by it, use it.
package link

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"lonja"
)

// DefaultPort is that of a directory.
const DefaultPort = 4444

// The bounds of links, in bytes.
const (
	MaxLink       = 2048
	MaxInvitation = 128
)

const scheme = "lonja"

// An Address says where a directory is: the same one always in the same form.
type Address struct {
	Host string // a name in lower case, or an IP address without brackets
	Port uint16
}

// ParseAddress reads host, host:port, or [host]:port; an IPv6 address may stand
// alone without its brackets. The error is of kind Invalid.
func ParseAddress(s string) (Address, error) { return ParseAddressOr(s, DefaultPort) }

// ParseAddressOr is ParseAddress for whom another port is meant where none stands.
func ParseAddressOr(s string, port uint16) (Address, error) {
	a, err := parseAddress(s, port)
	if err != nil {
		return Address{}, lonja.E(lonja.Invalid, "read address", fmt.Errorf("%q: %w", s, err))
	}
	return a, nil
}

func parseAddress(s string, otherwise uint16) (Address, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Is6() {
		return addressOf(s, "", otherwise)
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		host, port, closed := strings.Cut(inner, "]")
		if ip, err := netip.ParseAddr(host); err != nil || !ip.Is6() || !closed {
			return Address{}, errors.New("what stands in brackets is not an IPv6 address")
		}
		port, colon := strings.CutPrefix(port, ":")
		if colon != (port != "") {
			return Address{}, errors.New("what stands behind the brackets is no port")
		}
		return addressOf(host, port, otherwise)
	}
	host, port, colon := strings.Cut(s, ":")
	if colon && port == "" {
		return Address{}, errors.New("a port is missing behind the colon")
	}
	return addressOf(host, port, otherwise)
}

// addressOf checks the parts; port may be empty.
func addressOf(host, port string, otherwise uint16) (a Address, err error) {
	if a.Host, err = parseHost(host); err != nil {
		return Address{}, err
	}
	a.Port = otherwise
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Address{}, fmt.Errorf("port %q is not between 1 and 65535", port)
		}
		a.Port = uint16(n)
	}
	return a, nil
}

func parseHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" {
			return "", errors.New("an address with a zone means something on one machine only")
		}
		return ip.Unmap().String(), nil
	}
	switch {
	case host == "":
		return "", errors.New("the host is missing")
	case len(host) > 253:
		return "", errors.New("the host is too long")
	case strings.ContainsFunc(host, notPlain):
		return "", errors.New("the host has something in it that names of hosts have not; write others in their xn-- form")
	}
	return strings.ToLower(host), nil
}

// String returns host:port, the form for dialling and for showing.
func (a Address) String() string {
	host := a.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(a.Port))
}

// An Invitation is a link to a directory.
type Invitation struct {
	Address     Address
	Fingerprint lonja.PeerID
	Secret      lonja.Invitation // empty if none is needed
}

// ParseInvitation reads a link to a directory. The error is of kind Invalid.
func ParseInvitation(s string) (Invitation, error) {
	i, err := parseInvitation(s)
	if err != nil {
		return Invitation{}, invalid(s, err)
	}
	return i, nil
}

func parseInvitation(s string) (i Invitation, err error) {
	u, err := parseURL(s)
	if err != nil {
		return i, err
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return i, errors.New("it is not a link to a directory")
	}
	if i.Address, err = parseAddress(u.Host, DefaultPort); err != nil {
		return i, err
	}
	fingerprint, secret, with := strings.Cut(u.Fragment, ".")
	if i.Fingerprint, err = parseFingerprint(fingerprint); err != nil {
		return i, err
	}
	if with && (secret == "" || len(secret) > MaxInvitation || strings.ContainsFunc(secret, notPlain)) {
		return i, errors.New("the invitation behind the fingerprint is not whole")
	}
	i.Secret = lonja.Invitation(secret)
	return i, nil
}

// notPlain knows the signs of names of hosts, which need no escaping in a link,
// so that invitations are made of them too.
func notPlain(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
}

// String returns the link. It has the secret.
func (i Invitation) String() string {
	s := scheme + "://" + i.Address.String() + "#" + i.Fingerprint.String()
	if i.Secret != "" {
		s += "." + string(i.Secret)
	}
	return s
}

// A File is a link to a content. All but the first two are hints, and may be
// missing.
type File struct {
	Address     Address
	File        lonja.FileID
	Name        lonja.FileName
	Owner       lonja.UserName
	Size        int64        // UnknownSize if missing
	Fingerprint lonja.PeerID // of the directory
}

// ParseFile reads a link to a content. The error is of kind Invalid.
func ParseFile(s string) (File, error) {
	f, err := parseFile(s)
	if err != nil {
		return File{}, invalid(s, err)
	}
	return f, nil
}

func parseFile(s string) (f File, err error) {
	u, err := parseURL(s)
	if err != nil {
		return f, err
	}
	if f.Address, err = parseAddress(u.Host, DefaultPort); err != nil {
		return f, err
	}
	if f.File, err = lonja.ParseFileID(strings.TrimPrefix(u.Path, "/")); err != nil {
		return f, err
	}
	if f.File.IsZero() {
		return f, errors.New("it is a link to no content")
	}
	if u.Fragment != "" {
		if f.Fingerprint, err = parseFingerprint(u.Fragment); err != nil {
			return f, err
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return f, errors.New("its parameters are not whole")
	}
	return f, f.takeHints(query)
}

func (f *File) takeHints(query url.Values) (err error) {
	for _, key := range []string{"name", "owner", "size"} {
		if len(query[key]) > 1 {
			return fmt.Errorf("%s is said twice", key)
		}
	}
	if name := query.Get("name"); name != "" {
		if f.Name, err = lonja.ParsePublishedName(name); err != nil {
			return err
		}
	}
	if owner := query.Get("owner"); owner != "" {
		if f.Owner, err = lonja.ParseMemberName(owner); err != nil {
			return err
		}
	}
	f.Size = lonja.UnknownSize
	if size := query.Get("size"); size != "" {
		n, err := strconv.ParseUint(size, 10, 63)
		if err != nil {
			return fmt.Errorf("size %q is not one", size)
		}
		f.Size = int64(n)
	}
	return nil
}

// String returns the link.
func (f File) String() string {
	query := url.Values{}
	if f.Name != "" {
		query.Set("name", string(f.Name))
	}
	if f.Owner != "" {
		query.Set("owner", string(f.Owner))
	}
	if f.Size >= 0 {
		query.Set("size", strconv.FormatInt(f.Size, 10))
	}
	s := scheme + "://" + f.Address.String() + "/" + f.File.String()
	if len(query) > 0 {
		s += "?" + query.Encode()
	}
	if f.Fingerprint != (lonja.PeerID{}) {
		s += "#" + f.Fingerprint.String()
	}
	return s
}

// parseURL reads what all links have in common.
func parseURL(s string) (*url.URL, error) {
	if len(s) > MaxLink {
		return nil, fmt.Errorf("it is longer than %d bytes", MaxLink)
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Opaque != "":
		return nil, errors.New("it is not a link")
	case u.Scheme != scheme:
		return nil, errors.New("it does not begin with " + scheme + "://")
	case u.User != nil:
		return nil, errors.New("no user belongs before the host")
	}
	return u, nil
}

func parseFingerprint(s string) (id lonja.PeerID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, errors.New("the fingerprint of the directory, 64 hexadecimal digits behind #, is missing or not whole")
	}
	return lonja.PeerID(b), nil
}

// invalid does not repeat a link whole: it may have a secret.
func invalid(s string, err error) error {
	shown, _, _ := strings.Cut(s, "#")
	if len(shown) > 80 {
		shown = shown[:80]
	}
	return lonja.E(lonja.Invalid, "read link", fmt.Errorf("%q: %w", shown, err))
}
