package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"lonja"
	"lonja/internal/classic"
)

// The population. Each client acts for a few users of its own, as a person
// with one program does, and asks about everybody's.
const (
	usersPerClient = 2
	filesPerUser   = 4
	// usersPerFile is how many users would publish files of one base name.
	usersPerFile = 16
	// malformedOneIn makes one request in so many lack its user name.
	malformedOneIn = 50
)

// operations are the nine of the original system. SEARCH stays out of the mix:
// other directories do not know it, and figures would not compare with those
// measured before it was there.
var operations = slices.DeleteFunc(lonja.Operations(), func(op lonja.Operation) bool { return op == lonja.OpSearch })

// A script is the endless sequence of requests of one client: an operation
// taken uniformly from the nine, for one of the client's users, valid or not
// as it falls. It remembers what the directory must have made of them, so it
// knows which answers are right. Not safe for concurrent use.
type script struct {
	rng     *rand.Rand
	first   int // the number of the client's first user among all
	total   int // of users of all clients
	users   [usersPerClient]user
	pending []step // what brings the users to where they begin
}

// A user is what the directory must know of one of the client's users.
type user struct {
	number     int // among all clients' users
	name       lonja.UserName
	registered bool
	connected  bool
	published  [filesPerUser]bool
	lost       bool // an operation failed: nobody knows what became of it
}

// A step is one request and the statuses that are right answers to it.
type step struct {
	req     classic.Request
	user    int // of the client; -1 in a malformed request
	file    int
	allowed statusSet
}

// newScript returns the script of one of many clients.
func newScript(seed uint64, client, clients int) *script {
	s := &script{
		rng:   rand.New(rand.NewPCG(seed, uint64(client))),
		first: client * usersPerClient,
		total: clients * usersPerClient,
	}
	for i := range s.users {
		s.users[i].number, s.users[i].name = s.first+i, userName(s.first+i)
		s.begin(i)
	}
	return s
}

// begin puts user i where a long random walk would have left it, so that the
// measurement does not depend on how long the load has run: half of the users
// have no account, a third has one, a sixth is connected.
func (s *script) begin(i int) {
	place := s.rng.IntN(6)
	if place >= 3 {
		s.pending = append(s.pending, step{req: s.request(lonja.OpRegister, i), user: i})
	}
	if place == 5 {
		s.pending = append(s.pending, step{req: s.request(lonja.OpConnect, i), user: i})
	}
}

// next returns the next step. The one before must have been told its end,
// with answered or failed.
func (s *script) next() step {
	st := s.take()
	st.allowed = s.expect(&st)
	return st
}

func (s *script) take() step {
	if len(s.pending) > 0 {
		st := s.pending[0]
		s.pending = s.pending[1:]
		return st
	}
	i := s.rng.IntN(usersPerClient)
	st := step{user: i, file: s.rng.IntN(filesPerUser)}
	st.req = s.request(operations[s.rng.IntN(len(operations))], i)
	other := s.rng.IntN(s.total)
	switch st.req.Op {
	case lonja.OpPublish:
		st.req.Name = fileName(s.users[i].number, st.file)
		st.req.Description = "a file of the load test"
	case lonja.OpDelete:
		st.req.Name = fileName(s.users[i].number, st.file)
	case lonja.OpHolders:
		st.req.Name = fileName(other, st.file)
	case lonja.OpListContent:
		st.req.Owner = userName(other)
	}
	if s.rng.IntN(malformedOneIn) == 0 {
		st.user, st.req.User = -1, ""
	}
	return st
}

func (s *script) request(op lonja.Operation, i int) classic.Request {
	return classic.Request{
		Op: op, User: s.users[i].name, Timestamp: lonja.NoTimestamp,
		Port: uint16(classic.MinPort + s.users[i].number%10000),
	}
}

func userName(i int) lonja.UserName { return lonja.UserName(fmt.Sprintf("user%05d", i)) }

// fileName returns the path of one user's file. Its base name is shared with
// the users around that one.
func fileName(user, file int) lonja.FileName {
	return lonja.FileName(fmt.Sprintf("/home/user%05d/file%05d.%d.dat", user, user/usersPerFile, file))
}

// own returns the client's user of that name, or nil.
func (s *script) own(name lonja.UserName) *user {
	for i := range s.users {
		if s.users[i].name == name {
			return &s.users[i]
		}
	}
	return nil
}

// expect returns the statuses that are right answers to st.
func (s *script) expect(st *step) statusSet {
	op := st.req.Op
	if st.user < 0 {
		return statusesOf(op, lonja.Invalid)
	}
	u := &s.users[st.user]
	switch {
	case u.lost:
		return anyStatus(op)
	case op == lonja.OpRegister && u.registered:
		return statusesOf(op, lonja.NameInUse)
	case op == lonja.OpRegister:
		return statusesOf(op, nil)
	case !u.registered:
		return statusesOf(op, lonja.NoSuchUser)
	case op == lonja.OpUnregister:
		return statusesOf(op, nil)
	case op == lonja.OpConnect && u.connected:
		return statusesOf(op, lonja.AlreadyConnected)
	case op == lonja.OpConnect:
		return statusesOf(op, nil)
	case !u.connected:
		return statusesOf(op, lonja.NotConnected)
	}
	return s.expectConnected(st, u)
}

// expectConnected returns the right answers to what a connected user asks.
func (s *script) expectConnected(st *step, u *user) statusSet {
	op := st.req.Op
	switch {
	case op == lonja.OpPublish && u.published[st.file]:
		return statusesOf(op, lonja.AlreadyPublished)
	case op == lonja.OpDelete && !u.published[st.file]:
		return statusesOf(op, lonja.NotPublished)
	case op == lonja.OpHolders && u.published[st.file] && st.req.Name.Base() == fileName(u.number, st.file).Base():
		return statusesOf(op, nil)
	case op == lonja.OpHolders: // other clients know
		return statusesOf(op, nil) | statusesOf(op, lonja.NoHolder)
	case op == lonja.OpListContent:
		owner := s.own(st.req.Owner)
		switch {
		case owner == nil || owner.lost:
			return statusesOf(op, nil) | statusesOf(op, lonja.NoSuchOwner)
		case !owner.registered:
			return statusesOf(op, lonja.NoSuchOwner)
		}
	}
	return statusesOf(op, nil)
}

// answered takes in what the directory did.
func (s *script) answered(st *step, status byte) {
	if status != classic.StatusOK || st.user < 0 {
		return
	}
	u := &s.users[st.user]
	switch st.req.Op {
	case lonja.OpRegister:
		u.registered = true
	case lonja.OpUnregister:
		*u = user{number: u.number, name: u.name, lost: u.lost}
	case lonja.OpConnect:
		u.connected = true
	case lonja.OpDisconnect:
		u.connected = false
	case lonja.OpPublish:
		u.published[st.file] = true
	case lonja.OpDelete:
		u.published[st.file] = false
	}
}

// failed takes in that nobody knows whether the directory did what st asks.
func (s *script) failed(st *step) {
	if st.user >= 0 {
		s.users[st.user].lost = true
	}
}
