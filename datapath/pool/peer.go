// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
)

// errSilent says that there was no answer in time.
var errSilent = errors.New("no answer")

// peer is the connection to another member.
type peer struct {
	Peer // Slot is noSlot until one who connected has said hello
	uid  uint32
	conn *net.UnixConn
	left bool // it has said so: for who listens to it

	asking  sync.Mutex  // one question at a time
	id      uint32      // of the latest
	answers chan answer // of room one
	gone    chan struct{}
}

// noSlot is no member's.
const noSlot = MaxSlots

// answer is a reply, whose descriptors belong to who takes it.
type answer struct {
	*message
	fds []int
	err error // why they are not there
}

func newPeer(conn *net.UnixConn, slot uint32) *peer {
	p := &peer{conn: conn, answers: make(chan answer, 1), gone: make(chan struct{})}
	p.Slot = slot
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			if c, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
				p.PID, p.uid = int(c.Pid), c.Uid
			}
		})
	}
	return p
}

// tell sends a message. It fails where the other has not read for long.
func (p *peer) tell(m message, fds []int) error {
	_ = p.conn.SetWriteDeadline(time.Now().Add(answerPatience))
	return send(p.conn, &m, fds)
}

// write sends a block without descriptors.
func (p *peer) write(block []byte) error {
	_ = p.conn.SetWriteDeadline(time.Now().Add(answerPatience))
	_, err := p.conn.Write(block)
	return err
}

// tellSoon is tell, without waiting for one who does not read.
func (p *peer) tellSoon(m message) error {
	_ = p.conn.SetWriteDeadline(time.Now().Add(tellPatience))
	return send(p.conn, &m, nil)
}

// ask returns the answer to a question. EMFILE says that we had no room for its descriptors.
func (p *peer) ask(k kind, t topic) (answer, error) {
	p.asking.Lock()
	defer p.asking.Unlock()
	p.id++
	p.drop() // what came too late
	if err := p.tell(message{Kind: k, ID: p.id, Topic: t}, nil); err != nil {
		return answer{}, err
	}
	late := time.NewTimer(answerPatience)
	defer late.Stop()
	for {
		select {
		case a := <-p.answers:
			if a.ID == p.id {
				return a, a.err
			}
			descriptors.CloseAll(a.fds)
		case <-p.gone:
			return answer{}, net.ErrClosed
		case <-late.C:
			return answer{}, errSilent
		}
	}
}

// drop closes the descriptors of an answer that nobody waits for.
func (p *peer) drop() {
	select {
	case a := <-p.answers:
		descriptors.CloseAll(a.fds)
	default:
	}
}

// answered hands an answer to who waits for it.
func (p *peer) answered(a answer) {
	p.drop()
	select {
	case p.answers <- a:
	default: // only one reader fills the room, hence it is free; be safe all the same
		descriptors.CloseAll(a.fds)
	}
}

// is reports whether it is the connection to the member in a slot.
func (p *peer) is(slot uint32) bool { return p.Slot == slot }
