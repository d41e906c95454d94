package dirtest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"lonja"
	"lonja/internal/statement"
)

// MemberOptions is what a directory is opened with for the suite of members.
type MemberOptions struct {
	Invited bool // it takes only who is invited
	Closed  bool // it takes nobody
}

// A MemberDirectory is one directory as the suite of members uses it.
type MemberDirectory struct {
	// As returns the directory as the node sees it that acts for a user with a
	// key. Over the network, that is a connection of its own.
	As func(user lonja.UserName, key ed25519.PrivateKey) lonja.MemberDirectory
	// Classic returns it as the users of the classic dialect see it.
	Classic lonja.Directory
	// Invite makes an invitation for so many uses, which ends then, in seconds
	// since 1970, or never if that is 0.
	Invite func(uses int, until int64) lonja.Invitation
	// Addr is where all nodes connect from.
	Addr netip.Addr
}

// A memberCase is a test of the suite and the rule that it holds.
type memberCase struct {
	name string
	rule string
	opts MemberOptions
	test func(*members)
}

// RunMembers runs the suite of lonja.MemberDirectory: the rules of the secure
// dialect, whoever carries it. open returns a new, empty directory.
func RunMembers(t *testing.T, open func(t *testing.T, opts MemberOptions) MemberDirectory) {
	runCases(t, open, slices.Concat(keyCases, sessionCases, signedCases, audienceCases, pageCases, fetchingCases, eventCases, raceCases))
}

// RunSessions runs the part of RunMembers that is about sessions, where all of it
// would take long.
func RunSessions(t *testing.T, open func(t *testing.T, opts MemberOptions) MemberDirectory) {
	runCases(t, open, slices.Concat(sessionCases, fetchingCases))
}

func runCases(t *testing.T, open func(t *testing.T, opts MemberOptions) MemberDirectory, cases []memberCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("the rule: %s", c.rule)
				}
			}()
			c.test(&members{T: t, MemberDirectory: open(t, c.opts)})
		})
	}
}

// Members is one directory and short words for what its members do.
type members struct {
	*testing.T
	MemberDirectory
}

// A node acts for a user with a key.
type node struct {
	*members
	lonja.Member
	signer ed25519.PrivateKey
	dir    lonja.MemberDirectory
}

// keyOf returns the key that a name makes, always the same one.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicOf(key ed25519.PrivateKey) lonja.PublicKey {
	return lonja.PublicKey(key.Public().(ed25519.PublicKey))
}

// node returns a node of a user with the key of that name.
func (m *members) node(user lonja.UserName, key string) *node {
	signer := keyOf(key)
	return &node{m, lonja.Member{User: user, Key: publicOf(signer)}, signer, m.As(user, signer)}
}

// member returns a node of a user who has registered with it.
func (m *members) member(user lonja.UserName) *node {
	m.Helper()
	n := m.node(user, string(user))
	m.ok(n.dir.RegisterMember(m.Context(), n.Member, ""))
	return n
}

// online returns nodes that are connected, each at a port of its own.
func (m *members) online(users ...lonja.UserName) []*node {
	m.Helper()
	nodes := make([]*node, len(users))
	for i, u := range users {
		nodes[i] = m.member(u)
		nodes[i].connect(uint16(4000 + i))
	}
	return nodes
}

func (m *members) way(port uint16) lonja.Endpoint { return lonja.EndpointFrom(m.Addr, port) }

func (n *node) connect(ports ...uint16) {
	n.Helper()
	n.ok(n.dir.ConnectMember(n.Context(), n.Member, n.ways(ports...)))
}

func (n *node) ways(ports ...uint16) (ways []lonja.Endpoint) {
	for _, p := range ports {
		ways = append(ways, n.way(p))
	}
	return ways
}

func (n *node) reach(ports ...uint16) *lonja.Reach {
	return &lonja.Reach{Key: n.Key, Ways: n.ways(ports...)}
}

func (n *node) peer(ports ...uint16) lonja.Peer {
	return lonja.Peer{User: n.User, At: n.way(ports[0]), Reach: n.reach(ports...)}
}

func (m *members) ok(err error) {
	m.Helper()
	if err != nil {
		m.Fatalf("got error %v, want none", err)
	}
}

func (m *members) is(err error, want lonja.Kind) {
	m.Helper()
	if !errors.Is(err, want) {
		m.Errorf("got error %v, want %v", err, want)
	}
}

// same compares two values of any shape and shows both.
func (m *members) same(what string, got, want any) {
	m.Helper()
	if !reflect.DeepEqual(got, want) {
		m.Errorf("%s:\ngot  %+v\nwant %+v", what, got, want)
	}
}

// fileOf returns the content that a text stands for.
func fileOf(text string) lonja.FileID { return sha256.Sum256([]byte(text)) }

// listing returns what the node signs of a file, whose content is its name
// unless it is changed.
func (n *node) listing(name lonja.FileName, change ...func(*lonja.Publication)) lonja.Listing {
	n.Helper()
	p := lonja.Publication{Owner: n.User, Listing: lonja.Listing{
		Name: name, Description: "about " + lonja.Description(name), Size: 7,
		Proof: &lonja.Proof{File: fileOf(string(name)), Date: time.Now().Unix()},
	}}
	for _, c := range change {
		c(&p)
	}
	p, err := statement.SignPublication(p, n.signer)
	n.ok(err)
	return p.Listing
}

func to(users ...lonja.UserName) func(*lonja.Publication) {
	return func(p *lonja.Publication) { p.Proof.Audience = users }
}

func content(text string) func(*lonja.Publication) {
	return func(p *lonja.Publication) { p.Proof.File = fileOf(text) }
}

// publish publishes a file and returns its listing.
func (n *node) publish(name lonja.FileName, change ...func(*lonja.Publication)) lonja.Listing {
	n.Helper()
	l := n.listing(name, change...)
	n.ok(n.dir.Publish(n.Context(), n.User, l))
	return l
}

// names returns what the node learns of an owner's files.
func (n *node) names(owner lonja.UserName) (names []lonja.FileName) {
	n.Helper()
	listings, err := n.dir.ListContent(n.Context(), n.User, owner)
	n.ok(err)
	for _, l := range listings {
		names = append(names, l.Name)
	}
	return names
}

// endorse returns the endorsement of the key of that name by the node's.
func (n *node) endorse(key string, date int64) lonja.Endorsement {
	n.Helper()
	e, err := statement.SignEndorsement(lonja.Endorsement{User: n.User, Key: publicOf(keyOf(key)), Label: key, Date: date}, n.signer)
	n.ok(err)
	first := n.Key
	ring, err := n.dir.Keys(n.Context(), n.User)
	n.ok(err)
	if len(ring) > 0 {
		first = ring[0].Key
	}
	e.Consent, err = statement.SignConsent(n.User, first, keyOf(key))
	n.ok(err)
	return e
}

// revocation returns that of the key of that name by the node's.
func (n *node) revocation(key string) lonja.Revocation {
	n.Helper()
	r, err := statement.SignRevocation(lonja.Revocation{User: n.User, Key: publicOf(keyOf(key)), Date: time.Now().Unix()}, n.signer)
	n.ok(err)
	return r
}

// race has two do the same at once, again and again, and wants one of them to
// win each time.
func (m *members) race(what string, lost lonja.Kind, first, second func(context.Context) error) {
	m.Helper()
	results := make(chan error, 2)
	for _, do := range []func(context.Context) error{first, second} {
		go func() { results <- do(m.Context()) }()
	}
	a, b := <-results, <-results
	if (a == nil) == (b == nil) {
		m.Errorf("%s: got errors %v and %v, want one of them", what, a, b)
		return
	}
	for _, err := range []error{a, b} {
		if err != nil && !errors.Is(err, lost) {
			m.Errorf("%s: got error %v, want %v", what, err, lost)
		}
	}
}
