// The lab: programs that tests put the real ones into. A module of its own, so
// that what it needs does not reach lonja's users.
module lonja/lab

go 1.26

require github.com/hanwen/go-fuse/v2 v2.12.1

require golang.org/x/sys v0.28.0 // indirect
