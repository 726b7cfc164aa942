// SPDX-License-Identifier: MIT

package xdp

import (
	"os"

	"github.com/vishvananda/netlink"
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
	h, err := netlink.NewHandle(unix.NETLINK_GENERIC)
	if err != nil {
		return nil, kerr.New("socket", "AF_NETLINK, NETLINK_GENERIC", err, "")
	}
	defer h.Close()
	family, err := h.GenlFamilyGet(unix.ETHTOOL_GENL_NAME)
	if err != nil {
		return nil, kerr.New("CTRL_CMD_GETFAMILY", unix.ETHTOOL_GENL_NAME, err, "it takes Linux 5.6 with CONFIG_ETHTOOL_NETLINK")
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_GENERIC)
	if err != nil {
		return nil, kerr.New("socket", "AF_NETLINK, NETLINK_GENERIC", err, "")
	}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	for _, g := range family.Groups {
		if err == nil && g.Name == unix.ETHTOOL_MCGRP_MONITOR_NAME {
			err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, int(g.ID))
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, kerr.New("subscribe", "ethtool netlink", err, "")
	}
	return os.NewFile(uintptr(fd), "ethtool netlink"), nil
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
