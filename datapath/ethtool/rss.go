// SPDX-License-Identifier: MIT

package ethtool

import (
	"fmt"
	"math/bits"
	"net"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Types are what an interface hashes, as MsQuic numbers them (CXPLAT_RSS_HASH_TYPE): of a
// TCP or UDP packet that includes the ports.
type Types uint32

const (
	IPv4    Types = 0x001
	TCPIPv4 Types = 0x002
	UDPIPv4 Types = 0x004
	IPv6    Types = 0x008
	TCPIPv6 Types = 0x010
	UDPIPv6 Types = 0x020
)

// RSS is how an interface spreads packets.
type RSS struct {
	Types Types
	Key   []byte   // of the hash
	Table []uint32 // by the low bits of the hash: the number of a queue; a power of two of them
}

// Bounds of a [RSS], far above what devices have.
const (
	MaxKey   = 256
	MaxTable = 4096
)

// GetRSS asks for the configuration of an interface of the calling thread's network namespace.
//
// Errors: ENOENT where there is no such interface; [UnsupportedError] where its driver
// tells nothing, or what it does cannot be said in an RSS.
func GetRSS(ifindex int) (*RSS, error) {
	i, err := net.InterfaceByIndex(ifindex)
	if err != nil {
		return nil, kerr.New("RTM_GETLINK", fmt.Sprintf("interface %d", ifindex), unix.ENOENT, "")
	}
	d, err := open(i.Name)
	if err != nil {
		return nil, err
	}
	defer d.close()
	c, err := read(d)
	if err != nil {
		return nil, fmt.Errorf("receive side scaling of interface %s: %w", i.Name, err)
	}
	return c, nil
}

// UnsupportedError says why what was asked for is not known.
type UnsupportedError struct {
	Reason string
	Err    error // of the kernel, or nil
}

// Error implements error.
func (e *UnsupportedError) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Err)
}

// Unwrap lets errors.Is compare with EOPNOTSUPP.
func (*UnsupportedError) Unwrap() error { return unix.EOPNOTSUPP }

func unsupported(format string, args ...any) error {
	return &UnsupportedError{Reason: fmt.Sprintf(format, args...)}
}

// read asks a device for everything.
func read(d device) (*RSS, error) {
	rings, err := d.rings()
	if err != nil {
		return nil, err
	}
	c, err := d.indirection(rings)
	if err != nil {
		return nil, err
	}
	for _, f := range flows {
		fields, err := d.fields(f.flow)
		if err == nil && fields&f.fields == f.fields {
			c.Types |= f.types
		}
	}
	if c.Types == 0 {
		return nil, unsupported("the driver does not say what it hashes")
	}
	return c, nil
}

// flows are the flows of ethtool, and the least that must be hashed of each.
var flows = []struct {
	flow   uint32
	fields uint64
	types  Types
}{
	{ipv4Flow, hashAddresses, IPv4},
	{tcpV4Flow, hashAddresses | hashPorts, TCPIPv4},
	{udpV4Flow, hashAddresses | hashPorts, UDPIPv4},
	{ipv6Flow, hashAddresses, IPv6},
	{tcpV6Flow, hashAddresses | hashPorts, TCPIPv6},
	{udpV6Flow, hashAddresses | hashPorts, UDPIPv6},
}

// check refuses what a user of the RSS would misread.
func (c *RSS) check(rings uint32) error {
	switch n := len(c.Table); {
	case n == 0 || len(c.Key) == 0:
		return unsupported("the driver tells a table of %d entries and a key of %d bytes", n, len(c.Key))
	case n > MaxTable || len(c.Key) > MaxKey:
		return unsupported("a table of %d entries and a key of %d bytes: at most %d and %d", n, len(c.Key), MaxTable, MaxKey)
	case bits.OnesCount(uint(n)) != 1:
		return unsupported("a table of %d entries, which is no power of two", n)
	}
	for i, ring := range c.Table {
		if ring >= rings {
			return unsupported("entry %d of the table is queue %d, and there are %d", i, ring, rings)
		}
	}
	return nil
}
