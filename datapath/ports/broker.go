// SPDX-License-Identifier: MIT

package ports

import (
	"crypto/rand"
	"errors"
	random "math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/rundir"
)

const (
	// serveTime is how long one newcomer is served.
	serveTime = 2 * time.Second

	// maxGuests bounds how many newcomers a member serves at once. One is at the
	// door; others have given up, or do not keep to the protocol. One more takes the
	// place of the first.
	maxGuests = 16
)

// The name of a broker's socket is that of the port's file, a dot, and random
// letters; with one of these at its end, once it may be connected to.
const (
	brokerSuffix = ".join"
	sparesSuffix = ".spares.join" // of a member that has sockets to spare, or had some
)

// broker answers the newcomers of a shared port on behalf of one member.
type broker struct {
	path   string
	accept *net.UnixListener
	guests sync.WaitGroup

	mu     sync.Mutex
	conns  []*net.UnixConn // of the guests, in the order in which they came
	closed bool
}

// A handler answers one question of a process.
type handler func(peer, question) (grant, error)

// startBroker begins to answer newcomers.
//
// The socket gets its name only when it listens, so that one of that name that
// refuses a connection is a dead process's for ever, and may be removed. The name
// is random: it is never used again.
func startBroker(dir *rundir.Dir, port, suffix string, handle handler) (*broker, error) {
	early := dir.ShortPath(port + "." + rand.Text())
	b := &broker{path: early + suffix}
	var err error
	if b.accept, err = net.ListenUnix("unixpacket", &net.UnixAddr{Name: early, Net: "unixpacket"}); err != nil {
		return nil, brokerError("bind", dir, err)
	}
	b.accept.SetUnlinkOnClose(false)
	if err = share(dir, early); err == nil {
		err = os.Rename(early, b.path)
	}
	if err != nil {
		b.accept.Close()
		os.Remove(early)
		return nil, brokerError("rename", dir, err)
	}
	b.guests.Go(func() { b.serve(handle) })
	return b, nil
}

func brokerError(op string, dir *rundir.Dir, err error) error {
	return kerr.New(op, "unix socket in "+dir.Path(), err, "without one nobody could join the port; /proc must be mounted")
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

// brokers returns the names of the sockets of those who share a port, in the order
// in which to try them: any, but with sockets to spare before without. Some may be
// of dead processes.
func brokers(dir *rundir.Dir, port string) (names []string, err error) {
	all, err := dir.Names()
	for _, i := range random.Perm(len(all)) {
		name := all[i]
		switch {
		case !strings.HasPrefix(name, port+"."):
		case strings.HasSuffix(name, sparesSuffix):
			names = slices.Insert(names, 0, name)
		case strings.HasSuffix(name, brokerSuffix):
			names = append(names, name)
		}
	}
	return names, err
}

// anybody reports whether somebody may answer.
func anybody(dir *rundir.Dir, port string) bool {
	names, _ := brokers(dir, port)
	return len(names) != 0
}

// removeBrokers removes all that is left of a port's brokers, for whoever knows
// that their processes are dead. What it cannot remove is in nobody's way.
func removeBrokers(dir *rundir.Dir, port string) {
	names, _ := dir.Names()
	for _, name := range names {
		if strings.HasPrefix(name, port+".") {
			os.Remove(dir.ShortPath(name))
		}
	}
}

// serve answers newcomers until close.
func (b *broker) serve(handle handler) {
	for {
		conn, err := b.accept.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many open files, say
			time.Sleep(pause)
			continue
		}
		b.guests.Go(func() {
			if b.enter(conn) {
				converse(conn, handle)
			}
			b.leave(conn)
		})
	}
}

// enter reports whether a newcomer is still served.
func (b *broker) enter(conn *net.UnixConn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	if len(b.conns) == maxGuests {
		b.conns[0].Close() // it leaves
		b.conns = b.conns[1:]
	}
	b.conns = append(b.conns, conn)
	return true
}

func (b *broker) leave(conn *net.UnixConn) {
	conn.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conns = slices.DeleteFunc(b.conns, func(c *net.UnixConn) bool { return c == conn })
}

// converse answers the questions of one newcomer.
func converse(conn *net.UnixConn, handle handler) {
	_ = conn.SetDeadline(time.Now().Add(serveTime))
	p, err := peerOf(conn)
	for err == nil {
		var q question
		var fds []int
		fds, err = receive(conn, &q)
		descriptors.CloseAll(fds) // none is expected
		switch {
		case err == nil:
			g, refusal := handle(p, q)
			err = send(conn, newAnswer(g, refusal), g.fds)
			if g.given {
				descriptors.CloseAll(g.fds)
			}
		case errors.Is(err, errVersion):
			_ = send(conn, newAnswer(grant{}, err), nil)
		}
	}
}

// close cuts all conversations off. No handler runs when it returns.
func (b *broker) close() {
	if b == nil {
		return
	}
	os.Remove(b.path)
	b.accept.Close()
	b.mu.Lock()
	b.closed = true
	for _, conn := range b.conns {
		conn.Close()
	}
	b.mu.Unlock()
	b.guests.Wait()
}
