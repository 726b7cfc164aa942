// SPDX-License-Identifier: MIT

package ossock

import (
	"fmt"
	"math"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// option is one setsockopt with an int value.
type option struct {
	name       string
	level, opt int
	value      int
}

var (
	shareOption   = option{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1}
	noDelayOption = option{"TCP_NODELAY", unix.SOL_TCP, unix.TCP_NODELAY, 1}
)

// options lists what a socket needs before bind, in order. Any refusal fails the open.
func (p *plan) options() []option {
	var opts []option
	if p.family == unix.AF_INET6 {
		opts = append(opts, option{"IPV6_V6ONLY", unix.SOL_IPV6, unix.IPV6_V6ONLY, 0})
	}
	if i := int(p.req.InterfaceIndex); i != 0 {
		opts = append(opts, option{"SO_BINDTOIFINDEX", unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, i})
	}
	if p.req.Kind != batch.KindUDP {
		return append(opts, noDelayOption)
	}
	return append(opts, p.udpOptions()...)
}

func (p *plan) udpOptions() []option {
	opts := []option{
		// DF set and the kernel's own path MTU ignored: MsQuic probes for itself, and
		// a datagram that is too long must be lost, never fragmented.
		{"IP_MTU_DISCOVER", unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE},
		{"IP_RECVTOS", unix.SOL_IP, unix.IP_RECVTOS, 1},
		{"IP_RECVTTL", unix.SOL_IP, unix.IP_RECVTTL, 1},
		{"SO_RCVBUF", unix.SOL_SOCKET, unix.SO_RCVBUF, math.MaxInt32}, // clamped to net.core.rmem_max
	}
	if p.family == unix.AF_INET6 {
		opts = append(opts,
			option{"IPV6_MTU_DISCOVER", unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE},
			option{"IPV6_DONTFRAG", unix.SOL_IPV6, unix.IPV6_DONTFRAG, 1},
			option{"IPV6_RECVPKTINFO", unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1},
			option{"IPV6_RECVTCLASS", unix.SOL_IPV6, unix.IPV6_RECVTCLASS, 1},
			option{"IPV6_RECVHOPLIMIT", unix.SOL_IPV6, unix.IPV6_RECVHOPLIMIT, 1})
	} else {
		opts = append(opts, option{"IP_PKTINFO", unix.SOL_IP, unix.IP_PKTINFO, 1})
	}
	if p.req.Coalesce {
		opts = append(opts, option{"UDP_GRO", unix.SOL_UDP, unix.UDP_GRO, 1})
	}
	return opts
}

// checkInterface refuses an interface that does not exist: the kernel would bind
// to it all the same, and the socket would hear and reach nobody.
func (p *plan) checkInterface(fd int) error {
	if p.req.InterfaceIndex == 0 {
		return nil
	}
	ifr, _ := unix.NewIfreq("")
	ifr.SetUint32(p.req.InterfaceIndex)
	return kerr.New("ioctl", fmt.Sprintf("SIOCGIFNAME, interface %d", p.req.InterfaceIndex),
		unix.IoctlIfreq(fd, unix.SIOCGIFNAME, ifr), "`ip link` lists the interfaces of this network namespace")
}

func setOptions(fd int, opts []option) error {
	for _, o := range opts {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return kerr.New("setsockopt", o.name+"="+strconv.Itoa(o.value), err, "")
		}
	}
	return nil
}

// lingerReset makes close send a reset: MsQuic's TCP has no graceful half, and
// the peer must learn at once that the connection is gone.
func lingerReset(fd int) error {
	err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	return kerr.New("setsockopt", "SO_LINGER=0", err, "")
}
