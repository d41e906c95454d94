// Package fairshare decides who of those that fetch from one node is sent
// something next, so that all get on, nobody gets more by asking more often, and
// the node sends no faster than its owner wants.
//
// It decides and does nothing else: it sends nothing, starts nothing and is told
// the time. Package fileserver drives it under its own lock; a Share is not safe
// for concurrent use.
//
// # Slots
//
// So many users are served at once: each has a slot. Who comes later waits in a
// queue, first come first served, and is told its place, which it keeps as long
// as it asks again now and then. While somebody waits, a slot is for one turn, of
// so many bytes or so much time: then the requests that are under way may end, new
// ones go to the end of the queue, and what does not end is interrupted until its
// user's turn comes again. So nobody starves, and while nobody waits nobody has to
// make room.
//
// At a known rate there are as few slots as that is for, each for a piece or two at a
// time. Sent to all at once, by turns, no piece would be whole for long, and in a crowd
// nobody had anything to pass on; and who waits in the queue decides what it takes when
// that is sent, not when it came.
//
// # Quanta
//
// Bytes are sent in quanta. Users take turns, and each user's requests among
// themselves, whatever the number of its connections. Of a user that is not
// alone, one quantum is on its way at a time: that is what makes users equal where no
// rate is set, and it is this machine that is short of something. A receiver that
// has not taken a quantum after a while is short of something itself, so that
// quantum does not hold up its user's others.
//
// # Rates
//
// There is one for all, and one for each user. A quantum may begin when what was
// sent before is paid for (the virtual scheduling algorithm of ITU-T I.371): rates
// hold in the long run to the byte, and for a short while a tenth of a second's
// worth more is let through that was not used before.
package fairshare
