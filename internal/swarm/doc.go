// Package swarm fetches one content from all who have it, at once.
//
// Package picker decides which connection fetches which pieces, and package
// unfinished keeps them; the swarm makes the connections, checks every piece
// against the FileID before it counts, and decides whom to try again and when:
// who does not answer, stalls or refuses comes back after a while, who sends
// something else than the content does not. Holders may come and go while it
// runs.
//
// It knows nothing of directories and certificates: node tells it who has the
// content, and gives it a function for each that connects with that holder.
package swarm
