// SPDX-License-Identifier: MIT

package route

import (
	"errors"

	"golang.org/x/sys/unix"
)

// knocker makes the kernel ask a neighbour when the process may not tell it to
// (CAP_NET_ADMIN): it sends the neighbour an empty datagram. The zero value
// has no sockets.
type knocker struct {
	sockets map[uint8]int // by address family
}

// discardPort is where knocks go (RFC 863).
const discardPort = 9

// newKnocker opens sockets in the network namespace of the calling thread if
// the process needs them. A family that the kernel lacks has none.
func newKnocker(c *conn) (knocker, error) {
	if err := c.useNeighbour(neighbourKey{}); !errors.Is(err, unix.EPERM) {
		return knocker{}, nil // refused for what is asked, not for who asks
	}
	k := knocker{sockets: make(map[uint8]int)}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		fd, err := unix.Socket(int(family), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			continue
		}
		if err != nil {
			k.close()
			return knocker{}, &Error{Op: "socket", Args: familyName(family) + ", UDP", Err: err, Hint: socketHint(err)}
		}
		k.sockets[family] = fd
	}
	return k, nil
}

// knock sends the datagram.
func (k knocker) knock(key neighbourKey) error {
	fd, ok := k.sockets[familyOf(key.ip)]
	if !ok {
		return &Error{Op: "send to neighbour", Args: key.String(), Err: unix.EAFNOSUPPORT}
	}
	// MSG_DONTROUTE: the address is a neighbour's, whatever the routes say.
	to, oob := destination(key)
	if err := unix.Sendmsg(fd, nil, oob, to, unix.MSG_DONTROUTE); err != nil {
		return &Error{Op: "send to neighbour", Args: key.String(), Err: err}
	}
	return nil
}

// destination returns an address to send to, and the control message that says
// by which interface.
func destination(key neighbourKey) (unix.Sockaddr, []byte) {
	if key.ip.Is4() {
		return &unix.SockaddrInet4{Port: discardPort, Addr: key.ip.As4()},
			unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(key.index)})
	}
	return &unix.SockaddrInet6{Port: discardPort, Addr: key.ip.As16(), ZoneId: uint32(key.index)},
		unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: uint32(key.index)})
}

func (k knocker) close() {
	for _, fd := range k.sockets {
		unix.Close(fd)
	}
}
