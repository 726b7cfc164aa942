// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// maxDumps bounds how often a listing is asked for again because the table
// changed while the kernel wrote it out.
const maxDumps = 16

// answerTimeout, in seconds, is for the case that cannot happen: the kernel
// puts its answer into the socket before the request returns.
const answerTimeout = 10

// conn is an rtnetlink socket for the length of one call of this package.
type conn struct {
	socket *nl.SocketHandle
}

// withConn runs f with a socket in the network namespace of the calling
// thread. The goroutine stays on that thread until f is done: the namespace is
// the thread's until the socket is open, its user ID counts in f.
func withConn(f func(*conn) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := dial()
	if err != nil {
		return err
	}
	defer c.socket.Close()
	return f(c)
}

func dial() (*conn, error) {
	socket, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, &Error{Op: "socket", Args: "AF_NETLINK, NETLINK_ROUTE", Err: err, Hint: socketHint(err)}
	}
	socket.SetReceiveTimeout(&unix.Timeval{Sec: answerTimeout})
	// The kernel then says in words what it did not like. Old kernels do not.
	socket.SetExtAck(true)
	return &conn{socket: &nl.SocketHandle{Socket: socket}}, nil
}

func socketHint(err error) string {
	switch {
	case errors.Is(err, unix.EMFILE):
		return "raise RLIMIT_NOFILE of the process"
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "allow AF_NETLINK in the seccomp filter or in systemd's RestrictAddressFamilies="
	}
	return ""
}

// get asks for one thing and returns the one message that answers.
func (c *conn) get(request, answer uint16, parts ...nl.NetlinkRequestData) ([]byte, error) {
	msgs, err := c.exchange(request, 0, answer, parts)
	if err == nil && len(msgs) != 1 {
		err = errNoAnswer
	}
	if err != nil {
		return nil, err
	}
	return msgs[0], nil
}

// errNoAnswer is an answer that is not of the asked kind.
var errNoAnswer = errors.New("the kernel answered with something else")

// dump lists a table.
func (c *conn) dump(request, answer uint16, header nl.NetlinkRequestData) ([][]byte, error) {
	return untilWhole(func() ([][]byte, error) {
		return c.exchange(request, unix.NLM_F_DUMP, answer, []nl.NetlinkRequestData{header})
	})
}

// untilWhole repeats a listing during which the table changed: the kernel
// marks it (NLM_F_DUMP_INTR), as entries may be missing or be there twice.
func untilWhole(list func() ([][]byte, error)) ([][]byte, error) {
	for range maxDumps {
		msgs, err := list()
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			return msgs, err
		}
	}
	return nil, fmt.Errorf("%w: the table changes faster than it can be read", syscall.EAGAIN)
}

func (c *conn) exchange(request uint16, flags int, answer uint16, parts []nl.NetlinkRequestData) ([][]byte, error) {
	req := nl.NewNetlinkRequest(int(request), flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: c.socket}
	for _, part := range parts {
		req.AddData(part)
	}
	return req.Execute(unix.NETLINK_ROUTE, answer)
}
