// SPDX-License-Identifier: MIT

package xdp

import (
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Env is the environment variable that names the interfaces to serve, with commas
// between them. Without it those are all Ethernet interfaces that are up and have
// an address. Loopback is never served.
const Env = "MSQUICXDP_INTERFACES"

func isWorthwhile(i *net.Interface) bool {
	if i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 || len(i.HardwareAddr) != 6 {
		return false
	}
	if list := os.Getenv(Env); list != "" {
		return slices.Contains(strings.Split(list, ","), i.Name)
	}
	addrs, err := i.Addrs()
	return err == nil && len(addrs) > 0
}

// Available is a cheap look at whether AF_XDP may be had: the privilege for its
// sockets, and an interface that is worth it. Nothing stays open.
func Available() bool {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	all, err := net.Interfaces()
	return err == nil && slices.ContainsFunc(all, func(i net.Interface) bool { return isWorthwhile(&i) })
}
