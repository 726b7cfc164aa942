// SPDX-License-Identifier: MIT

package route

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Query asks a [Table] how the datagrams of a flow go. Addresses may be
// v4-mapped; their zones are not looked at.
type Query struct {
	// Remote is the peer. Its port may be 0 if it is not known: policy rules and
	// the choice among the paths of a multipath route may depend on it.
	Remote netip.AddrPort

	// Local is the socket's address. Without one, or with an unspecified one, the
	// kernel chooses the source.
	Local netip.AddrPort

	// Scope is the interface of a link-local IPv6 peer, which needs one, and is
	// not looked at for others.
	Scope int

	// Interfaces are those that a datagram may be sent by, by index.
	Interfaces []int
}

// State says what is known of a path.
type State uint8

const (
	// Unreachable: there is no path. Answer.Err says why.
	Unreachable State = iota
	// Elsewhere: the path does not lead through one of the interfaces. It may
	// lead through another one or a tunnel, end at this host or be a group's.
	Elsewhere
	// Pending: the path is known up to the address of the next hop on the link.
	// The kernel is asking for that; see [Table.Await].
	Pending
	// Known: datagrams can be sent.
	Known
)

func (s State) String() string {
	names := [...]string{"unreachable", "elsewhere", "pending", "known"}
	if int(s) >= len(names) {
		return fmt.Sprintf("State(%d)", uint8(s))
	}
	return names[s]
}

// Answer is how the datagrams of a flow go. All of it is there when State is
// Known. When it is Pending, MAC is missing; when it is Elsewhere, other things
// may be missing too.
type Answer struct {
	State     State
	Index     int        // of the interface to send by
	Source    netip.Addr // to send from: Query.Local, or the kernel's choice
	SourceMAC [6]byte    // of the interface
	NextHop   netip.Addr // the peer, or a gateway; of either family
	MAC       [6]byte    // of the next hop
	Err       error      // not nil exactly when State is Unreachable
}

// flow is a query without what the kernel is not asked.
type flow struct {
	remote, local         netip.Addr // local is not valid when the kernel chooses
	remotePort, localPort uint16
	scope                 int32 // 0 for any interface; of this size so that there are no gaps, which slow down the map
}

func (q *Query) flow() flow {
	f := flow{
		remote: q.Remote.Addr().Unmap().WithZone(""), local: q.Local.Addr().Unmap().WithZone(""),
		remotePort: q.Remote.Port(), localPort: q.Local.Port(),
	}
	if f.local.IsUnspecified() {
		f.local = netip.Addr{}
	}
	if needsScope(f.remote) {
		f.scope = int32(q.Scope)
	}
	return f
}

// check says why the kernel cannot be asked, or returns nil.
func (f *flow) check() error {
	hint := ""
	switch {
	case !f.remote.IsValid() || f.remote.IsUnspecified():
		hint = "not an address to send to"
	case f.local.IsValid() && f.local.BitLen() != f.remote.BitLen():
		hint = "source and destination are of different IP versions"
	case needsScope(f.remote) && f.scope == 0:
		hint = "a link-local peer needs an interface"
	default:
		return nil
	}
	return f.fail(unix.EINVAL, hint)
}

func (f *flow) fail(err error, hint string) error {
	args := fmt.Sprintf("%v, from %v", netip.AddrPortFrom(f.remote, f.remotePort), netip.AddrPortFrom(f.local, f.localPort))
	if f.scope != 0 {
		args += fmt.Sprintf(", interface %d", f.scope)
	}
	return &Error{Op: "get route", Args: args, Err: err, Hint: hint}
}

// may says whether a datagram may be sent by an interface.
func (q *Query) may(index int) bool { return slices.Contains(q.Interfaces, index) }
