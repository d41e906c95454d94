package api

import (
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"pgregory.net/rapid"

	"lonja"
)

func TestText(t *testing.T) {
	for name, want := range map[string]string{
		"ana": "ana", "ñandú 用户": "ñandú 用户", "\xff\xfe": "\U0010FEFF\U0010FEFE",
		"a\xc3": "a\U0010FEC3", "\U0010FEC3": "\U0010FEF4\U0010FE8F\U0010FEBB\U0010FE83", "�": "�", "": "",
	} {
		if got := Text(name); got != want {
			t.Errorf("Text(%q) = %q, want %q", name, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("ana\xff\U0010FEC3")
	f.Fuzz(func(t *testing.T, s string) {
		text := Text(s)
		if !utf8.ValidString(text) {
			t.Errorf("Text(%q) = %q is not UTF-8", s, text)
		}
		if got := Bytes(text); got != s {
			t.Errorf("Bytes(Text(%q)) = %q", s, got)
		}
		Bytes(s) // of anything: no panic
	})
}

// TestKinds: the numbers on the wire are those of the kinds, and so are the names.
func TestKinds(t *testing.T) {
	if got, want := len(Kind_name), len(lonja.Kinds()); got != want {
		t.Errorf("%d kinds on the wire, %d in the program", got, want)
	}
	for _, kind := range []struct {
		wire Kind
		own  lonja.Kind
	}{
		{Kind_KIND_INTERNAL, lonja.Internal},
		{Kind_KIND_NAME_IN_USE, lonja.NameInUse},
		{Kind_KIND_CANCELED, lonja.Canceled},
		{Kind_KIND_LIMITED, lonja.Limited},
		{Kind_KIND_UNTRUSTED, lonja.Untrusted},
		{Kind_KIND_TAKEN_OVER, lonja.TakenOver},
	} {
		if int(kind.wire) != int(kind.own) {
			t.Errorf("%v is %d, want %d", kind.wire, kind.wire, kind.own)
		}
	}
	if got, want := len(EventKind_name), int(lonja.EventsLost)+1; got != want {
		t.Errorf("%d kinds of events on the wire, %d in the program", got, want)
	}
}

// TestMethods: each method of the service has a number, and none has two.
func TestMethods(t *testing.T) {
	methods := File_lonja_v1_directory_proto.Services().ByName("Directory").Methods()
	if got, want := len(Method_name), methods.Len()+1; got != want {
		t.Errorf("%d numbers, %d methods and none", got, want)
	}
	words := regexp.MustCompile(`([a-z])([A-Z])`)
	for i := range methods.Len() {
		name := string(methods.Get(i).Name())
		number := "METHOD_" + strings.ToUpper(words.ReplaceAllString(name, "${1}_${2}"))
		if _, ok := Method_value[number]; !ok {
			t.Errorf("%s has no number %s", name, number)
		}
	}
}

var sampleProof = lonja.Proof{
	File: lonja.FileID{1}, Date: 7, Audience: []lonja.UserName{"luis", "\xff"},
	Key: lonja.PublicKey{2}, Signature: lonja.Signature{3}, Folder: &lonja.Folder{Files: 3, ListSize: 1 << 33},
}

// roundTrip goes over the wire and back.
func roundTrip[W, M any](t *testing.T, name string, w W, to func(*W) *M, back func(*M) (W, error)) {
	t.Helper()
	type message interface {
		MarshalVT() ([]byte, error)
		UnmarshalVT([]byte) error
	}
	b, err := any(to(&w)).(message).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	m := new(M)
	if err := any(m).(message).UnmarshalVT(b); err != nil {
		t.Fatal(err)
	}
	got, err := back(m)
	if err != nil || !reflect.DeepEqual(got, w) {
		t.Errorf("%s:\ngot  %+v, %v\nwant %+v", name, got, err, w)
	}
}

func TestWordsOverTheWire(t *testing.T) {
	at := lonja.EndpointFrom(netip.MustParseAddr("2001:db8::1"), 4445)
	reach := &lonja.Reach{Key: lonja.PublicKey{9}, Ways: []lonja.Endpoint{at}}
	listing := lonja.Listing{Name: "a/b ñ", Description: "about it\xff", Size: lonja.UnknownSize, Proof: &sampleProof}
	peer := lonja.Peer{User: "ñ\xc3", At: at, Reach: reach}
	query := lonja.Query{Words: "a b", Base: "f", Extension: "ogg", MinSize: 1, MaxSize: 2, Owner: "ana", OnlineOnly: true}
	signed := lonja.Endorsement{
		User: "ana", Key: lonja.PublicKey{1}, Label: "laptop", Date: 5,
		By: lonja.PublicKey{2}, Signature: lonja.Signature{3}, Consent: lonja.Signature{4},
	}
	first := lonja.Endorsement{User: "ana", Key: lonja.PublicKey{1}}
	roundTrip(t, "peer", peer, FromPeer, PeerOf)
	roundTrip(t, "classic peer", lonja.Peer{User: "ana", At: at}, FromPeer, PeerOf)
	roundTrip(t, "listing", listing, FromListing, ListingOf)
	roundTrip(t, "holder", lonja.Holder{User: "ana", At: at, Name: "f", Reach: reach, Proof: &sampleProof, Description: "d", Size: 7}, FromHolder, HolderOf)
	roundTrip(t, "query", query, FromQuery, QueryOf)
	roundTrip(t, "found", lonja.Found{Owner: "ana", Listing: listing, Online: 1, Holders: 2}, FromFound, FoundOf)
	roundTrip(t, "endorsement", signed, FromEndorsement, EndorsementOf)
	roundTrip(t, "first key", first, FromEndorsement, EndorsementOf)
	roundTrip(t, "key record", lonja.KeyRecord{Endorsement: signed, Revoked: 4}, FromKeyRecord, KeyRecordOf)
	roundTrip(t, "revocation", lonja.Revocation{
		User: "ana", Key: lonja.PublicKey{1}, Date: 3, By: lonja.PublicKey{2}, Signature: lonja.Signature{3},
	}, FromRevocation, RevocationOf)
	roundTrip(t, "ended account", lonja.Revocation{User: "ana", Key: lonja.PublicKey{1}, Date: 3, Account: 1 << 60}, FromRevocation, RevocationOf)
	roundTrip(t, "event of it", lonja.Event{Kind: lonja.KeyRevoked, User: "ana", Key: lonja.PublicKey{1}, Account: 1 << 60}, FromEvent, EventOf)
	roundTrip(t, "event", lonja.Event{Kind: lonja.HolderAppeared, User: "ana", Peer: peer, Listing: listing}, FromEvent, EventOf)
	roundTrip(t, "lost", lonja.Event{Kind: lonja.EventsLost}, FromEvent, EventOf)
	roundTrip(t, "filter", lonja.EventFilter{Presence: true, Matching: &query, Holders: []lonja.FileID{{1}}},
		func(f *lonja.EventFilter) *WatchRequest { return FromFilter(lonja.Member{User: "ana"}, f) }, FilterOf)
}

// A wireMessage is any message as the generated code has it.
type wireMessage interface {
	proto.Message
	MarshalVT() ([]byte, error)
	UnmarshalVT([]byte) error
	SizeVT() int
}

// everyMessage returns a new one of each message of lonja.v1.
func everyMessage(t testing.TB) (all []wireMessage) {
	t.Helper()
	for _, file := range []protoreflect.FileDescriptor{File_lonja_v1_words_proto, File_lonja_v1_directory_proto} {
		for i := range file.Messages().Len() {
			kind, err := protoregistry.GlobalTypes.FindMessageByName(file.Messages().Get(i).FullName())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, kind.New().Interface().(wireMessage))
		}
	}
	return all
}

// FuzzMessages: whatever is read as one of the messages, of any sort, takes what
// it says that it takes when it is written, and is the same when it is read again,
// by our code and by that of others.
func FuzzMessages(f *testing.F) {
	listing := lonja.Listing{Name: "f", Description: "about it", Size: 3, Proof: &sampleProof}
	at := lonja.EndpointFrom(netip.MustParseAddr("2001:db8::1"), 4445)
	reach := &lonja.Reach{Key: lonja.PublicKey{9}, Ways: []lonja.Endpoint{at}}
	signed := lonja.Endorsement{User: "ana", Key: lonja.PublicKey{1}, Label: "laptop", Date: 5, By: lonja.PublicKey{2}}
	for _, m := range []wireMessage{
		FromListing(&listing), FromPeer(&lonja.Peer{User: "ana", At: at, Reach: reach}),
		FromHolder(&lonja.Holder{User: "ana", At: at, Name: "f", Reach: reach, Proof: &sampleProof}),
		FromQuery(&lonja.Query{Words: "a b", Owner: "ana", OnlineOnly: true}),
		FromFound(&lonja.Found{Owner: "ana", Listing: listing, Online: 1, Holders: 2}),
		FromKeyRecord(&lonja.KeyRecord{Endorsement: signed, Revoked: 4}), FromRevocation(&lonja.Revocation{User: "ana"}),
		FromEvent(&lonja.Event{Kind: lonja.HolderAppeared, User: "ana", Listing: listing}),
		&ConnectRequest{User: "ana", Ways: []string{"0.0.0.0:4445"}, WithoutKey: true},
		&ConnectAnswer{Session: &Session{Certificate: &Certificate{Chain: [][]byte{{1}, {2}}, NotAfter: 9}, Observed: "1.2.3.4:5"}},
	} {
		b, err := m.MarshalVT()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range everyMessage(t) {
			if m.UnmarshalVT(b) != nil {
				continue
			}
			name := m.ProtoReflect().Descriptor().Name()
			written, err := m.MarshalVT()
			if err != nil || len(written) != m.SizeVT() {
				t.Fatalf("%s is written with %d bytes, %v, and says %d", name, len(written), err, m.SizeVT())
			}
			again := m.ProtoReflect().New().Interface().(wireMessage)
			if err := again.UnmarshalVT(written); err != nil || !proto.Equal(again, m) {
				t.Fatalf("%s: read again it is %v, %v, was %v", name, again, err, m)
			}
			// Others take no text that is not UTF-8; all else they read alike, but for
			// how they keep what they do not know.
			others := proto.UnmarshalOptions{DiscardUnknown: true}
			of := func(b []byte) (proto.Message, error) {
				m := m.ProtoReflect().New().Interface()
				return m, others.Unmarshal(b, m)
			}
			if theirs, err := of(b); err == nil {
				if ours, err := of(written); err != nil || !proto.Equal(theirs, ours) {
					t.Fatalf("%s: others read %v, and %v, %v of what this program has read", name, theirs, ours, err)
				}
			}
		}
	})
}

// FuzzRequests: whatever comes is refused or is a word that makes the same
// message again.
func FuzzRequests(f *testing.F) {
	for _, m := range []wireMessage{
		FromListing(&lonja.Listing{Name: "f", Proof: &sampleProof}),
		FromFilter(lonja.Member{User: "ana"}, &lonja.EventFilter{Presence: true, Matching: &lonja.Query{Words: "a b"}, Holders: []lonja.FileID{{1}}}),
		FromEndorsement(&lonja.Endorsement{User: "ana", Key: lonja.PublicKey{1}, By: lonja.PublicKey{2}, Date: 5}),
		FromRevocation(&lonja.Revocation{User: "ana", Key: lonja.PublicKey{1}, By: lonja.PublicKey{2}, Date: 5}),
		&ConnectRequest{User: "ana", Ways: []string{"0.0.0.0:4445", "[2001:db8::1]:4445"}},
	} {
		b, err := m.MarshalVT()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var listing Listing
		if listing.UnmarshalVT(b) == nil {
			if l, err := ListingOf(&listing); err == nil {
				roundTrip(t, "listing", l, FromListing, ListingOf)
			}
		}
		var watch WatchRequest
		if watch.UnmarshalVT(b) == nil {
			_, _ = FilterOf(&watch)
		}
		var event WatchAnswer
		if event.UnmarshalVT(b) == nil {
			_, _ = EventOf(&event)
		}
		var endorsement Endorsement
		if endorsement.UnmarshalVT(b) == nil {
			_, _ = EndorsementOf(&endorsement)
		}
		var revocation Revocation
		if revocation.UnmarshalVT(b) == nil {
			_, _ = RevocationOf(&revocation)
		}
		var holder Holder
		if holder.UnmarshalVT(b) == nil {
			_, _ = HolderOf(&holder)
		}
		var connect ConnectRequest
		if connect.UnmarshalVT(b) == nil {
			_, _ = WaysOf(connect.Ways)
		}
	})
}

// TestTextAgainstRandomNames: the order of the bytes does not matter to it.
func TestTextAgainstRandomNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "name"))
		if got := Bytes(Text(s)); got != s {
			t.Fatalf("got %q, want %q", got, s)
		}
	})
}
