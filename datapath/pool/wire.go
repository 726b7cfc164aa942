// SPDX-License-Identifier: MIT

package pool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Members send each other fixed blocks in the byte order of the machine, one in each
// message of a SOCK_SEQPACKET socket; descriptors come along (SCM_RIGHTS).
const magic = 0x4c50584d // "MXPL" in memory

// kind is what a message is.
type kind uint16

const (
	hello kind = 1 + iota // first of who connected: Slot
	who                   // question: do you have this? ID, Topic
	hand                  // question: hand it over. ID, Topic
	reply                 // answer to any: ID, Found; to hand and lend with descriptors
	serve                 // I am in this pool: Topic, Seats[0]; with my socket, and map
	ended                 // somebody is no more in this pool: Topic
	bye                   // last of who closes
	tell                  // question, of who is no member too: tell of this pool. ID, Topic
	told                  // answer to it: an account
	lend                  // question: make me a socket in this pool. ID, Topic
)

// topic is what a message is about: the program of an interface, or the pool of a queue.
type topic struct {
	Ifindex uint32
	Queue   uint32
	Pool    uint32 // 1: the pool; 0: the program, and Queue is 0
}

func (t topic) String() string {
	if t.Pool == 0 {
		return fmt.Sprintf("the XDP program of interface %d", t.Ifindex)
	}
	return fmt.Sprintf("the pool of interface %d, queue %d", t.Ifindex, t.Queue)
}

// lockFile is the name of the file that has the locks of a pool.
func (t topic) lockFile() string { return fmt.Sprintf("xdp-%d-%d", t.Ifindex, t.Queue) }

// message is every message.
type message struct {
	Magic   uint32
	Version uint16
	Kind    kind
	ID      uint32 // of a question and its answer
	Slot    uint32
	Topic   topic
	Found   uint32   // 1: yes
	Shape   geometry // of a pool
	Count   uint32   // of Seats
	Maps    uint32   // 1: map mode; as many maps come behind the sockets
	Seats   [MaxMembers]seatOf
}

// seatOf says whose socket a descriptor is.
type seatOf struct {
	Seat   uint32
	Tenure tenure
}

// maxFDs is the most descriptors of a message: UMEM, control block, sockets, maps.
const maxFDs = 2 + 2*MaxMembers

// sockets returns those descriptors of a message that are of Seats, each with its map,
// -1 where there is none. It refuses another number of descriptors behind the first ones.
func (m *message) sockets(fds []int, first int) (list []socketOf, err error) {
	n := int(m.Count)
	if n == 0 || len(fds) != first+n+n*int(m.Maps) {
		return nil, fmt.Errorf("%d descriptors for %d sockets", len(fds), n)
	}
	for i, of := range m.Seats[:n] {
		s := socketOf{of, fds[first+i], -1}
		if m.Maps == 1 {
			s.in = fds[first+n+i]
		}
		list = append(list, s)
	}
	return list, nil
}

// socketOf is a socket that another member has handed over.
type socketOf struct {
	seatOf
	fd int
	in int // the map in which it is, of a Scattered program; else -1
}

func (s socketOf) close() {
	descriptors.CloseAll([]int{s.fd})
	if s.in >= 0 {
		descriptors.CloseAll([]int{s.in})
	}
}

var messageSize = binary.Size(message{})

func (m *message) encode() []byte {
	m.Magic, m.Version = magic, version
	return encode(m)
}

// encode writes a block of fixed size into memory, which cannot fail.
func encode(block any) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.NativeEndian, block)
	return b.Bytes()
}

// decode reads a message and refuses what no member of this version sends.
func decode(b []byte) (*message, error) {
	m := new(message)
	if err := decodeInto(m, b); err != nil {
		return nil, err
	}
	return m, m.check()
}

// decodeInto reads a block of fixed size that begins as every message does.
func decodeInto(block any, b []byte) error {
	if len(b) < 6 || binary.NativeEndian.Uint32(b) != magic {
		return fmt.Errorf("%d bytes that are no message between members", len(b))
	}
	if v := binary.NativeEndian.Uint16(b[4:]); v != version {
		return &VersionError{Ours: version, Theirs: int(v)}
	}
	if due := binary.Size(block); len(b) != due {
		return fmt.Errorf("a message of %d bytes, where %d are due", len(b), due)
	}
	return binary.Read(bytes.NewReader(b), binary.NativeEndian, block)
}

// check refuses numbers that lead nowhere.
func (m *message) check() error {
	if m.Kind < hello || m.Kind > lend || m.Kind == told || m.Slot >= MaxSlots || m.Topic.Pool > 1 || m.Found > 1 || m.Count > MaxMembers || m.Maps > 1 {
		return fmt.Errorf("a message that nobody sends: kind %d, slot %d, %+v, found %d, count %d", m.Kind, m.Slot, m.Topic, m.Found, m.Count)
	}
	return nil
}

// send writes one message with descriptors, which stay the caller's.
func send(conn *net.UnixConn, m *message, fds []int) error {
	var rights []byte
	if len(fds) != 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err := conn.WriteMsgUnix(m.encode(), rights, nil)
	return err
}

// receive reads one message and its descriptors, which are the caller's and closed on
// exec. Those of a message that cannot be read are closed. EMFILE says that there was no room for all: then the
// message has come, without any.
func receive(conn *net.UnixConn) (*message, []int, error) {
	buf := make([]byte, messageSize+1)
	rights := make([]byte, unix.CmsgSpace(maxFDs*4))
	n, nr, flags, _, err := conn.ReadMsgUnix(buf, rights)
	if err != nil {
		return nil, nil, err
	}
	fds := descriptors.OfRights(rights[:nr])
	var m *message
	if flags&unix.MSG_TRUNC != 0 || flags&unix.MSG_CTRUNC != 0 && len(fds) == maxFDs {
		err = errors.New("a message that is too long")
	} else {
		m, err = decode(buf[:n])
	}
	if err == nil && flags&unix.MSG_CTRUNC != 0 {
		err = kerr.New("recvmsg", "descriptors of another member", unix.EMFILE, "")
	}
	if err != nil {
		descriptors.CloseAll(fds)
		return m, nil, err
	}
	return m, fds, nil
}
