// SPDX-License-Identifier: MIT

package pool

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// The name of a member's socket is socketPrefix, its slot, a dot, random letters, and
// socketSuffix once it may be connected to.
const (
	socketPrefix = "xdp."
	socketSuffix = ".member"
)

// listener is where others connect to a member.
type listener struct {
	*net.UnixListener
	path string
}

// listen makes the socket of a member.
//
// The socket gets its name only when it listens, so that one of that name that
// refuses a connection is a dead process's for ever, and may be removed. The name
// is random: it is never used again.
func listen(dir *rundir.Dir, slot uint32) (*listener, error) {
	early := dir.ShortPath(fmt.Sprintf("%s%d.%s", socketPrefix, slot, rand.Text()))
	accept, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: early, Net: "unixpacket"})
	if err != nil {
		return nil, listenError("bind", dir, err)
	}
	accept.SetUnlinkOnClose(false)
	l := &listener{accept, early + socketSuffix}
	if err = share(dir, early); err == nil {
		err = os.Rename(early, l.path)
	}
	if err != nil {
		os.Remove(early)
		return nil, errors.Join(listenError("rename", dir, err), accept.Close())
	}
	return l, nil
}

func listenError(op string, dir *rundir.Dir, err error) error {
	return kerr.New(op, "unix socket in "+dir.Path(), err, "without one nobody could share queues; /proc must be mounted")
}

// share lets those connect who can make claims in the directory.
func share(dir *rundir.Dir, path string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir.ShortPath("."), &st); err != nil {
		return err
	}
	if st.Mode&0o020 == 0 {
		return os.Chmod(path, 0o600)
	}
	return errors.Join(os.Chown(path, -1, int(st.Gid)), os.Chmod(path, 0o660))
}

func (l *listener) close() {
	os.Remove(l.path)
	l.UnixListener.Close()
}

// connectAll connects to all members there are. Sockets of dead ones are removed.
func connectAll(dir *rundir.Dir) (peers []*peer, err error) {
	names, err := dir.Names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		slot, ok := parseSocket(name)
		if !ok {
			continue
		}
		path := dir.ShortPath(name)
		conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
		switch {
		case err == nil:
			peers = append(peers, newPeer(conn, slot))
		case errors.Is(err, unix.ECONNREFUSED):
			os.Remove(path)
		}
		// Whoever cannot be connected to is found missing when a pool is joined.
	}
	return peers, nil
}

// parseSocket returns the slot in the name of a member's socket.
func parseSocket(name string) (slot uint32, ok bool) {
	rest, ok := strings.CutPrefix(name, socketPrefix)
	if !ok || !strings.HasSuffix(rest, socketSuffix) {
		return 0, false
	}
	number, _, _ := strings.Cut(rest, ".")
	n, err := strconv.ParseUint(number, 10, 32)
	return uint32(n), err == nil && n < MaxSlots
}
