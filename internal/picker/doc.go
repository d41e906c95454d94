// Package picker decides which pieces of a content each connection of a
// download fetches next, so that all holders give what they can until the last
// moment, no piece is fetched twice without need, and none is forgotten.
//
// It decides and does nothing else: it opens nothing, starts nothing and is
// told the time. Package swarm drives it under its own lock; a Picker is not
// safe for concurrent use. Whether a piece is right is for others to say.
//
// # Spans
//
// A free connection takes the next pieces, neighbouring ones together in a
// Span, because asking costs a round trip. Nobody is given a plan: who is fast
// comes back sooner. A Span is at most the connection's share, by its speed, of
// half of what nobody has taken yet, so Spans shrink towards the end (Polychronopoulos
// and Kuck, Guided self-scheduling, 1987), and at most what it fetches in four
// seconds, so that what a slow one has claimed does not wait for long.
//
// # Order
//
// While all holders are complete, pieces are taken in order of position from a
// start that the seed decides, around the end to the beginning: downloaders
// that began together begin in different places. Once a holder is partial, the
// pieces that the fewest partial holders have come first; among those that are
// equally rare each downloader that knows its place among the others takes
// those in its own part, and otherwise chance decides: downloaders that know the
// same and follow the same order fetch the same, whereas each piece should
// leave the first holder once.
//
// How rare pieces are is known exactly within a window of 262,144 of them (256
// GiB), which moves on when all of it has been taken. What a holder has
// elsewhere is taken in order when it has nothing in the window.
//
// # The end
//
// Who finds nothing that is free takes the end of the Span that will be done
// last, as much as makes both finish together (work stealing: Blumofe and
// Leiserson, 1999), if it will be faster. The connection that had it learns of
// that through Still. When nothing at all is free, the piece that will be done
// last is asked of a second holder, if that one will probably be faster, and
// Done says who is to stop then.
//
// # Memory
//
// No array has an entry for each piece: free pieces are a bitmap with runs, and
// Spans are counted by connections. While holders are complete the bitmap has a
// few runs for each connection, whatever the size; at worst it takes one bit for each
// piece, as does each partial holder's. The window takes at most two bytes for
// each of its pieces, and some more for each partial holder.
package picker
