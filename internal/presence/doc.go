// Package presence keeps the leases of connected users, on one directory node
// alone or spread between the nodes of a cluster. A lease says that a user is
// connected, where its node listens, and which directory node holds it. It
// ends when the user disconnects, or when nobody renewed it for its length
// (Gray and Cheriton, Leases, SOSP 1989).
//
// The package is pure: it is told the time and the messages of other nodes,
// and returns what changed and what to publish. Package directory drives it
// under its own lock; a Table is not safe for concurrent use.
//
// # Why soft state
//
// Leases are in memory only. They change far more often than anything that is
// worth a sync to disk, each would be out of date when it was read back, and
// losing all of them costs the users a reconnect. So what follows needs no
// agreement: each node goes on by what it knows, also while it is cut off, and
// nodes that hear each other again come to the same answers.
//
// # State
//
// Each node has one record for each user: the latest it knows of. A record is
// a lease, or an end, which is remembered for a time (Options.Remember) so that
// an older lease of a node that was cut off does not come back. Of two records
// of a user the one that is larger in (stamp, epoch, node, end) counts,
// everywhere and in whatever order they arrive:
//
//   - stamp is the time of the connect or disconnect: microseconds, never
//     smaller than a stamp seen before (a hybrid logical clock: Kulkarni and
//     others, 2014), so that the last operation of a user wins. It names the
//     connection as long as it lasts, whoever holds it.
//   - epoch counts the holders of that connection, one after the other.
//   - node is the holder. A renewal at another node makes that one the holder.
//
// Only the holder decides whether a lease has run out; that ends its own
// holding, not the connection: a node that holds an unexpired lease of the
// same connection asserts it again, with a larger epoch.
//
// # Sessions
//
// A lease may be a session: it has a length of its own, and a detail that the
// package does not look into (the key of the user's node, say, and where it may
// be reached). Who has one renews it from its own node; the leases without are
// those that somebody asks for, see Walk. A detail that changes is a new record
// of the same connection, with the next epoch.
//
// # Messages
//
// All nodes publish to one subject and hear all others. Messages of one
// publisher come in order; any may be lost or doubled.
//
//	beat   each Options.Beat, and when there is something to acknowledge: the
//	       number of the last delta, count and digest of the own leases, and
//	       for each other node the number up to which its deltas are known here
//	delta  numbered: own records that changed since the last one
//	ask    asks the named nodes for all their records
//	page   a part of all own records, numbered, with the number of the last
//	       delta before the first page
//	bye    the node leaves
//
// A delta whose number does not follow, or a beat with a larger number, tells
// a node that it missed something, and it asks for pages. Records of pages and
// deltas may overlap: applying one twice changes nothing. A digest that stays
// different for several beats, which a fault of ours could cause, or a node
// that was stopped for long, is mended by the same pages, and what they do not
// mention is forgotten (anti-entropy: Demers and others, PODC 1987).
//
// A node that starts publishes a beat; all others answer with theirs at once,
// whose numbers make it ask. See Table.Ready. A node that died and is back
// before the others have noticed is another one to them; it waits until they
// have adopted what it held before.
//
// # When a node is gone
//
// A node not heard for Options.Silence is taken for dead (a plain heartbeat to
// everybody: with a handful of nodes the indirect probes of SWIM would save
// nothing). Its users notice nothing: each survivor adopts those of its records
// for which it is the rendezvous choice among the living that knew it (Thaler and
// Ravishankar, 1998), with a new epoch and a full lease. Records that the
// chosen node did not know of, or did not live to adopt, are adopted by whoever
// has them after another Silence. A node that says bye is treated so at once.
// If the dead node was only cut off, it takes back what others adopted in its
// place as soon as it hears of it.
//
// A node that did not run for a while (a paused machine) sees everybody silent
// and every lease run out at once. It knows by the gap between two calls of
// Tick, and gives all of them time first.
//
// # Who has heard of it
//
// Table.Seq numbers the delta that carries what was done last, and Table.Acked
// tells whether all other nodes have it: a caller that waits for it, with a
// bound, before it answers a CONNECT can be sure that the client is known at
// any node it asks next.
//
// # Layout
//
// A message is: version (1, or 2 if one of its records is a session), kind (one
// byte), sender (8 bytes), then, with numbers as canonical varints:
//
//	beat   seq, count, digest (8 bytes), acknowledgements: {node (8 bytes), seq}
//	delta  seq, records
//	ask    nodes (8 bytes each)
//	page   seq, page number, last (one byte, 0 or 1), records
//	bye    nothing
//
// Lists go on to the end of the message. A record is: flags (one byte: 1
// online, 2 ended by silence, 4 adopted, 8 IPv4, 16 IPv6, 128 session), length
// of the name (one byte), name, stamp (8 bytes), epoch, and of a lease address
// and port (2 bytes), and of a session its length in milliseconds, the length of
// its detail, and that. Fixed numbers have their most significant byte first. An address's
// zone, which means nothing on another machine, is not sent. The holder of
// each record is the sender.
package presence
