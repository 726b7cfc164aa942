// SPDX-License-Identifier: MIT

package hold

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// newSocket makes a socket like a member, unbound and without what could let
// others in. SO_REUSEADDR would let in any user who sets it too.
func (d *Door) newSocket() (int, error) {
	fd, err := d.o.NewSocket()
	if err != nil {
		return -1, err
	}
	err = errors.Join(
		setReusePort(fd, 0),
		setOption(fd, unix.SO_REUSEADDR, "SO_REUSEADDR", 0),
		d.remember(fd))
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// remember makes a socket one of the door's own.
func (d *Door) remember(fd int) error {
	cookie, err := cookieOf(fd)
	if err == nil {
		d.own[cookie] = true
	}
	return err
}

// bindMembers adds n sockets to the group, all or none.
func (d *Door) bindMembers(n int) (fds []int, err error) {
	for range n {
		fd, err := d.bindMember()
		if err != nil {
			descriptors.CloseAll(fds)
			return nil, err
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

func (d *Door) bindMember() (int, error) {
	fd, err := d.newSocket()
	if err != nil {
		return -1, err
	}
	// In this order: TCP remembers the owner at bind.
	if d.owned {
		err = kerr.New("fchown", "a socket", unix.Fchown(fd, OwnerUID, -1),
			"the members of this port belong to a user of their own, and joining them takes CAP_CHOWN, or a socket that a member with it has bound")
	}
	if err == nil {
		err = setReusePort(fd, 1)
	}
	if err == nil {
		err = d.bind(fd)
	}
	if err == nil && !d.local.IsValid() {
		err = d.learn(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bind names the culprit where the port is taken.
func (d *Door) bind(fd int) error {
	err := bind(fd, d.o.Addr)
	if !errors.Is(err, unix.EADDRINUSE) {
		return err
	}
	if d.o.Addr.Port() == 0 {
		return kerr.New("bind", d.o.Addr.String(), unix.EADDRINUSE, "no port in net.ipv4.ip_local_port_range is free")
	}
	others, _ := d.others() // without them the error says that it does not know
	return d.inUse(others)
}

// learn takes the members' address and shape from the first of them.
func (d *Door) learn(fd int) (err error) {
	d.shape, d.local, err = shapeOf(fd)
	return err
}
