// SPDX-License-Identifier: MIT

package hold

import (
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// bindSpares binds the sockets that will be handed over. Only a guard must be taken
// off to bind one later.
func (d *Door) bindSpares() (err error) {
	d.spares, err = d.bindMembers(d.o.Spares)
	for _, fd := range d.spares {
		if err == nil {
			err = dropAll(fd)
		}
	}
	return err
}

// TakeSpare gives a spare away: a socket that is a member already, and receives
// from now on. The caller sends it to another process (SCM_RIGHTS) and closes
// it. The kernel asked for the user at bind, so that process may be of any, and
// the port is not opened for it. It is false if none is left.
//
// Until then a spare discards what it receives. Without steering it does receive
// its share: the group's program must not choose it.
func (d *Door) TakeSpare() (fd int, ok bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.spares) == 0 {
		return -1, false, nil
	}
	fd, err = d.takeSpare()
	return fd, err == nil, err
}

// takeSpare takes the first, which a classic BPF program numbers next.
func (d *Door) takeSpare() (int, error) {
	fd := d.spares[0]
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil {
		return -1, kerr.New("setsockopt", "SO_DETACH_FILTER", err, "")
	}
	d.spares = d.spares[1:]
	return fd, nil
}

// dropAll makes a socket discard what it receives, before it costs memory.
func dropAll(fd int) error {
	program := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}} // accept 0 bytes
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	return kerr.New("setsockopt", "SO_ATTACH_FILTER", err, "")
}
