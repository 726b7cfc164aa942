// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// xdp is what is known of the XDP program of an interface.
type xdp struct {
	name    string // of the interface
	program uint32
	mode    Mode
}

// As the kernel numbers them in IFLA_XDP_ATTACHED.
var attachedModes = map[uint32]Mode{1: Native, 2: Generic, 3: Offloaded}

// xdpOf asks for the XDP program of an interface.
func xdpOf(ifindex int) (xdp, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return xdp{}, kerr.New("socket", "AF_NETLINK, NETLINK_ROUTE", err, "")
	}
	defer h.Close()
	l, err := h.LinkByIndex(ifindex)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		err = unix.ENODEV // which is what the kernel said
	}
	if err != nil {
		return xdp{}, kerr.New("RTM_GETLINK", fmt.Sprintf("interface %d", ifindex), err, "")
	}
	x := xdp{name: l.Attrs().Name}
	if on := l.Attrs().Xdp; on != nil {
		x.program, x.mode = on.ProgId, attachedModes[on.AttachMode]
	}
	return x, nil
}
