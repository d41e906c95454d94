// Package downloads is the list of a user's downloads, which survives the
// processes that fetch them, and says the truth whenever one of these is killed.
//
// Each download has a directory of its own below the list's:
//
//	ID/record.json  what is fetched, to where, and what became of it (record.go)
//	ID/lock         held by the process that fetches it
//	ID/control      a socket, on which that process says how it goes and is told to
//	                stop (control.go)
//
// Whoever reads or changes the list holds the list's own lock for that moment, and
// takes or gives up the lock of a download only then. So a download is being fetched
// exactly if its lock is held; one whose record says that it is, without that, was
// interrupted. Which downloads are due is decided in next.go, without a clock or a
// file.
//
// The package fetches nothing and knows no network beyond its sockets: whoever
// works the list off is given a function for that. The bytes themselves are kept by
// package unfinished, beside their targets. The command uses it.
package downloads
