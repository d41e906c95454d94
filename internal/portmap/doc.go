// Package portmap makes one TCP port of this machine reachable through the
// router that it is behind, for as long as it is asked to: UPnP IGD, version 2
// before version 1, and NAT-PMP, looked for side by side.
//
// It works in the background and nobody waits for it. A router that is not
// there, says no, lies, forgets or is replaced by another is a State and never
// an error. It trusts no router further than that: everything it reads is
// bounded in size and time, only the machine's default gateway is spoken to,
// and what the router says reaches people as Printable text. It maps IPv4 only:
// IPv6 has no addresses to translate, and opening a firewall is another matter.
//
// The node that listens on the port uses it.
package portmap
