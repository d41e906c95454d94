package oncrpc

// rpcbind's own program (RFC 1833). Version 2 is the portmapper of old, IPv4
// and port numbers only, which every rpcbind still speaks over IPv4; 3 and 4
// know IPv6 and universal addresses.
const (
	RpcbindProgram  = 100000
	RpcbindPort     = 111
	PortmapVersion  = 2
	RpcbindVersion4 = 4
)

// Procedures of PortmapVersion. All take a Mapping. The first two return a
// bool: whether it was done. The last returns a port number, 0 for none.
const (
	PortmapSet     = 1
	PortmapUnset   = 2
	PortmapGetPort = 3
)

// Procedures of RpcbindVersion4.
const (
	// RpcbindSet and RpcbindUnset take a Binding and return a bool: whether it
	// was done. Unset with an empty NetID is for all networks.
	RpcbindSet   = 1
	RpcbindUnset = 2
	// RpcbindDump takes nothing and returns all Bindings (DecodeBindings).
	RpcbindDump = 4
	// RpcbindGetAddrList takes a Binding, of which Program and Version count,
	// and returns the Entries of the address family over which it was asked
	// (DecodeEntries).
	RpcbindGetAddrList = 11
)

// The protocols of a Mapping, by their IP protocol numbers.
const (
	ProtocolTCP = 6
	ProtocolUDP = 17
)

// maxText bounds a string of rpcbind's, in bytes. RFC 1833 does not; the
// longest in use are the paths of local sockets.
const maxText = 1024

// A Mapping is a registration as PortmapVersion has it.
type Mapping struct {
	Program, Version uint32
	Protocol         uint32 // ProtocolTCP or ProtocolUDP
	Port             uint32
}

// AppendMapping adds the argument of the Portmap procedures.
func AppendMapping(b []byte, m Mapping) []byte {
	for _, v := range [...]uint32{m.Program, m.Version, m.Protocol, m.Port} {
		b = appendUint32(b, v)
	}
	return b
}

// DecodeDone reads the result of Set and Unset.
func DecodeDone(results []byte) (bool, error) {
	c := cursor{rest: results}
	done := c.bool()
	return done, c.err("boolean result")
}

// DecodePort reads the result of PortmapGetPort: a port, or 0 for none.
func DecodePort(results []byte) (uint16, error) {
	c := cursor{rest: results}
	port := c.uint32()
	if port > 0xffff {
		c.fail()
	}
	return uint16(port), c.err("port")
}

// A Binding is a registration as RpcbindVersion4 has it.
type Binding struct {
	Program, Version uint32
	NetID            string // "tcp", "udp", "tcp6", "udp6", "local"
	Address          string // a universal address; see UniversalAddress
	Owner            string // filled in by rpcbind, from who asks
}

// AppendBinding adds the argument of RpcbindSet, RpcbindUnset and
// RpcbindGetAddrList.
func AppendBinding(b []byte, v Binding) []byte {
	b = appendUint32(b, v.Program)
	b = appendUint32(b, v.Version)
	b = appendString(b, v.NetID)
	b = appendString(b, v.Address)
	return appendString(b, v.Owner)
}

func (c *cursor) binding() Binding {
	return Binding{
		Program: c.uint32(), Version: c.uint32(),
		NetID: c.string(maxText), Address: c.string(maxText), Owner: c.string(maxText),
	}
}

// DecodeBindings reads the result of RpcbindDump: a linked list, in which a
// bool before each element says that there is one.
func DecodeBindings(results []byte) ([]Binding, error) {
	c := cursor{rest: results}
	var list []Binding
	for c.bool() {
		list = append(list, c.binding())
	}
	if err := c.err("list of registrations"); err != nil {
		return nil, err
	}
	return list, nil
}

// An Entry is one address at which a program is served.
type Entry struct {
	Address string // universal address, made fit for whoever asked
	NetID   string
}

// DecodeEntries reads the result of RpcbindGetAddrList, a list like that of
// DecodeBindings. Each element also says the semantics, protocol family and
// protocol of its network; NetID says it all.
func DecodeEntries(results []byte) ([]Entry, error) {
	c := cursor{rest: results}
	var list []Entry
	for c.bool() {
		list = append(list, Entry{Address: c.string(maxText), NetID: c.string(maxText)})
		c.uint32()
		c.bytes(maxText)
		c.bytes(maxText)
	}
	if err := c.err("list of addresses"); err != nil {
		return nil, err
	}
	return list, nil
}
