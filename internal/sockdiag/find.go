// SPDX-License-Identifier: MIT

package sockdiag

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Find returns the sockets whose local port is this one, in the network
// namespace of the calling thread. proto is IPPROTO_UDP or IPPROTO_TCP.
//
// Of TCP it returns those that are bound or listen, and only where there is
// none of them those that are connected: a busy server has very many. Before
// Linux 6.8 the kernel does not show a TCP socket that neither listens nor is
// connected.
//
// Errors are those of the kernel: ENOENT where it was built without sock_diag.
func Find(proto uint8, port uint16) ([]Socket, error) {
	if proto != unix.IPPROTO_TCP {
		return find(proto, anyState, port)
	}
	found, err := find(proto, boundState, port)
	if err == nil && len(found) == 0 {
		found, err = find(proto, anyState, port)
	}
	return found, err
}

// find asks for both families: an AF_INET dump does not list dual-mode sockets,
// nor does an AF_INET6 one list those of AF_INET.
func find(proto uint8, states uint32, port uint16) (found []Socket, err error) {
	for _, family := range []uint8{unix.AF_INET6, unix.AF_INET} {
		messages, err := dump(request(family, proto, states, port))
		if err != nil {
			args := fmt.Sprintf("protocol %d, port %d, family %d", proto, port, family)
			return nil, kerr.New("sock_diag", args, err, hint(err))
		}
		for _, m := range messages {
			s, err := parse(m)
			if err != nil {
				return nil, err
			}
			found = append(found, s)
		}
	}
	return found, nil
}

func dump(payload []byte) ([][]byte, error) {
	req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	req.AddRawData(payload)
	return req.Execute(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY)
}

func hint(err error) string {
	switch kerr.Errno(err) {
	case unix.ENOENT, unix.EPROTONOSUPPORT:
		return "the kernel needs CONFIG_INET_DIAG and CONFIG_INET_UDP_DIAG (modules inet_diag, tcp_diag, udp_diag)"
	case unix.EPERM, unix.EACCES:
		return "a security policy forbids NETLINK_SOCK_DIAG"
	}
	return ""
}
