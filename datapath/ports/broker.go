// SPDX-License-Identifier: MIT

package ports

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// patience is how long either side of a joining waits for the other: a member
// that is stopped must not hold up a newcomer, which then asks the next one.
const patience = time.Second

// maxGuests bounds how many newcomers a member serves at once.
const maxGuests = 16

// broker answers the newcomers of a shared port on behalf of one member.
type broker struct {
	path   string
	accept *net.UnixListener
	guests sync.WaitGroup

	mu    sync.Mutex
	conns map[*net.UnixConn]struct{} // nil once it is closed
}

// A handler answers one question of a process, with descriptors that answer
// closes when they have been sent if owned is true.
type handler func(peer *unix.Ucred, q question) (a answer, fds []int, owned bool)

// newBroker makes the socket, which may be connected to from now on. Nobody is
// answered before [broker.serve].
//
// It gets its name only when it listens, so that a socket of that form that
// refuses a connection is a dead process's for ever, and may be removed. The name
// is random: it is never used again.
func newBroker(dir *rundir.Dir, port string, open bool) (*broker, error) {
	final := dir.ShortPath(brokerName(port))
	early := final + ".new"
	accept, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: early, Net: "unixpacket"})
	if err != nil {
		return nil, kerr.New("bind", "unix socket in "+dir.Path(), err, "")
	}
	accept.SetUnlinkOnClose(false)
	b := &broker{path: final, accept: accept, conns: map[*net.UnixConn]struct{}{}}
	mode := os.FileMode(0o600)
	if open { // a reservation names who may join; the handler looks
		mode = 0o666
	}
	if err := os.Chmod(early, mode); err == nil {
		err = os.Rename(early, final)
	}
	if err != nil {
		os.Remove(early)
		b.close()
		return nil, fmt.Errorf("unix socket for joining: %w", err)
	}
	return b, nil
}

func brokerName(port string) string { return port + "." + rand.Text() + brokerSuffix }

const brokerSuffix = ".join"

// serve answers newcomers until close.
func (b *broker) serve(handle handler) {
	b.guests.Go(func() {
		room := make(chan struct{}, maxGuests)
		for {
			conn, err := b.accept.AcceptUnix()
			if err != nil {
				return
			}
			room <- struct{}{}
			b.guests.Go(func() {
				if b.enter(conn) {
					converse(conn, handle)
				}
				b.leave(conn)
				<-room
			})
		}
	})
}

// enter reports whether a newcomer is still served.
func (b *broker) enter(conn *net.UnixConn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conns == nil {
		return false
	}
	b.conns[conn] = struct{}{}
	return true
}

func (b *broker) leave(conn *net.UnixConn) {
	conn.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, conn)
}

// converse answers the questions of one newcomer.
func converse(conn *net.UnixConn, handle handler) {
	_ = conn.SetDeadline(time.Now().Add(patience))
	peer, err := credentials(conn)
	for err == nil {
		var q question
		var fds []int
		if fds, err = receive(conn, &q); err != nil {
			return
		}
		closeAll(fds) // none is expected
		a, fds, owned := handle(peer, q)
		err = send(conn, a, fds)
		if owned {
			closeAll(fds)
		}
	}
}

// credentials returns who connected, as the kernel knows it.
func credentials(conn *net.UnixConn) (peer *unix.Ucred, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	if e := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil {
		return nil, e
	}
	return peer, err
}

// close cuts all conversations off. No handler runs when it returns.
func (b *broker) close() {
	if b == nil {
		return
	}
	os.Remove(b.path)
	b.accept.Close()
	b.mu.Lock()
	for conn := range b.conns {
		conn.Close()
	}
	b.conns = nil
	b.mu.Unlock()
	b.guests.Wait()
}
