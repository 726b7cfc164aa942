// SPDX-License-Identifier: MIT

package xdp

import (
	"encoding/binary"
	"os"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/ethtool"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// receiveQueues returns how many receive queues an interface of the calling thread's
// network namespace has now; 0 where its driver does not say.
func receiveQueues(name string) int {
	n, err := ethtool.Queues(name)
	if err != nil {
		return 0
	}
	return n
}

// watchChannels opens a socket of the calling thread's network namespace that hears
// when the settings of devices are changed, such as how many channels one has: rtnetlink
// does not announce that. Kernels before 5.6 have no such announcements.
func watchChannels() (*os.File, error) {
	group, err := monitorGroup()
	if err != nil {
		return nil, kerr.New("CTRL_CMD_GETFAMILY", unix.ETHTOOL_GENL_NAME, err, "it takes Linux 5.6 with CONFIG_ETHTOOL_NETLINK")
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_GENERIC)
	if err != nil {
		return nil, kerr.New("socket", "AF_NETLINK, NETLINK_GENERIC", err, "")
	}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)
	}
	if err != nil {
		unix.Close(fd)
		return nil, kerr.New("subscribe", "ethtool netlink", err, "")
	}
	return os.NewFile(uintptr(fd), "ethtool netlink"), nil
}

// monitorGroup asks for the number of the group to which ethtool netlink announces changes.
func monitorGroup() (int, error) {
	request := nl.NewNetlinkRequest(nl.GENL_ID_CTRL, 0)
	request.AddRawData([]byte{nl.GENL_CTRL_CMD_GETFAMILY, nl.GENL_CTRL_VERSION, 0, 0}) // struct genlmsghdr
	name := nl.NewRtAttr(nl.GENL_CTRL_ATTR_FAMILY_NAME, nl.ZeroTerminated(unix.ETHTOOL_GENL_NAME))
	request.RawData = append(request.RawData, name.Serialize()...)
	replies, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return 0, err
	}
	for _, reply := range replies {
		for _, group := range nested(nested(reply[min(4, len(reply)):])[nl.GENL_CTRL_ATTR_MCAST_GROUPS]) {
			g := nested(group)
			id := g[nl.GENL_CTRL_ATTR_MCAST_GRP_ID]
			if string(g[nl.GENL_CTRL_ATTR_MCAST_GRP_NAME]) == unix.ETHTOOL_MCGRP_MONITOR_NAME+"\x00" && len(id) == 4 {
				return int(binary.NativeEndian.Uint32(id)), nil
			}
		}
	}
	return 0, unix.ENOENT
}

// nested reads attributes, by type.
func nested(b []byte) map[uint16][]byte {
	attributes, _ := nl.ParseRouteAttr(b)
	values := map[uint16][]byte{}
	for _, a := range attributes {
		values[a.Attr.Type&^unix.NLA_F_NESTED] = a.Value
	}
	return values
}

// hear calls announced for each announcement, until the file is closed. What it says is
// not looked at: it may be older than what a look finds.
func hear(f *os.File, announced func()) {
	socket, err := f.SyscallConn()
	if err != nil {
		return // closed already
	}
	buf := make([]byte, 8192)
	for {
		// An error, such as ENOBUFS, says that announcements are lost: that is one too.
		err := socket.Read(func(fd uintptr) bool {
			_, errno := unix.Read(int(fd), buf)
			return errno != unix.EAGAIN
		})
		if err != nil {
			return
		}
		announced()
	}
}
