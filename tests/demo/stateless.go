// SPDX-License-Identifier: MIT

package demo

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// answerTimeout is how long a lone datagram may go unanswered. Nothing is lost
// on a veth pair, so there is no second try.
const answerTimeout = 2 * time.Second

// noticeTimeout is some times what it takes others to notice a death.
const noticeTimeout = 100 * time.Millisecond

// How long a client's first datagram may be. Fragments are put together by the kernel,
// also for servers on AF_XDP, whose kernel sockets get what comes of it.
const (
	inOnePiece  = 1200 // the least that is answered
	inFragments = 3000
)

// fragmented is how many datagrams come to the servers in fragments.
var fragmented = int64(len(identifiers) * len(families))

// stateless asks a server for the answers that it gives without a connection.
func (c *clients) stateless(ctx context.Context, f family, to spec) error {
	return c.lone(ctx, f, func(conn net.Conn) error {
		for _, length := range []int{inOnePiece, inFragments} {
			if err := checkNegotiation(conn, to, length); err != nil {
				return fmt.Errorf("version negotiation with %s over %s, for %d bytes: %w", to.name(), f.name, length, err)
			}
		}
		if err := checkStatelessReset(conn, to); err != nil {
			return fmt.Errorf("stateless reset by %s over %s: %w", to.name(), f.name, err)
		}
		return nil
	})
}

// checkUnreachable sends datagrams for a server that is not there. The kernel is
// to answer as if nobody had the port, at once, or when the others have noticed that
// the server is dead: what comes before lies in its AF_XDP socket.
func (c *clients) checkUnreachable(ctx context.Context, f family, to spec) error {
	return c.lone(ctx, f, func(conn net.Conn) error {
		question, _, err := unknownVersion(to, inOnePiece)
		if err != nil {
			return err
		}
		for deadline := time.Now().Add(answerTimeout); ; {
			answer, err := ask(conn, question, noticeTimeout)
			if errors.Is(err, unix.ECONNREFUSED) {
				return nil
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().After(deadline) {
				return fmt.Errorf("a datagram for %s, which is not there, over %s: answered by %x, %v",
					to.name(), f.name, answer, err)
			}
		}
	})
}

// lone lends a socket for lone datagrams to the server.
func (c *clients) lone(ctx context.Context, f family, use func(net.Conn) error) (err error) {
	var conn net.Conn
	err = c.ns.Do(func() (err error) {
		conn, err = net.DialUDP("udp", udpAddr(f.client[1], 0), udpAddr(f.server, port))
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	return use(conn)
}

// ask sends a datagram and returns the answer.
func ask(conn net.Conn, question []byte, timeout time.Duration) ([]byte, error) {
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	answer := make([]byte, 2048)
	n, err := conn.Read(answer)
	return answer[:n], err
}

// unknownVersion returns a client's first datagram, which offers a version that
// nobody speaks, and its connection IDs as they are to come back.
func unknownVersion(to spec, length int) (datagram, ids []byte, err error) {
	source, err := cidGenerator{to.identifier}.GenerateConnectionID()
	if err != nil {
		return nil, nil, err
	}
	dcid, scid := lengthAnd([]byte("whomever")), lengthAnd(source.Bytes())
	datagram = slices.Concat([]byte{0xc0, 0x5a, 0x6a, 0x7a, 0x8a}, dcid, scid)
	return append(datagram, make([]byte, length-len(datagram))...), slices.Concat(scid, dcid), nil
}

// lengthAnd is a connection ID as a long header has it.
func lengthAnd(id []byte) []byte { return append([]byte{byte(len(id))}, id...) }

func checkNegotiation(conn net.Conn, to spec, length int) error {
	question, ids, err := unknownVersion(to, length)
	if err != nil {
		return err
	}
	answer, err := ask(conn, question, answerTimeout)
	if err != nil {
		return err
	}
	want := append([]byte{0, 0, 0, 0}, ids...)
	if len(answer) < 1+len(want) || answer[0]&0x80 == 0 || !bytes.Equal(answer[1:1+len(want)], want) {
		return fmt.Errorf("answered by %x", answer)
	}
	for versions := answer[1+len(want):]; len(versions) >= 4; versions = versions[4:] {
		if binary.BigEndian.Uint32(versions) == 1 {
			return nil
		}
	}
	return fmt.Errorf("version 1 is not offered: %x", answer)
}

// checkStatelessReset sends a packet of a connection that does not exist.
func checkStatelessReset(conn net.Conn, to spec) error {
	id, err := cidGenerator{to.identifier}.GenerateConnectionID()
	if err != nil {
		return err
	}
	question := append([]byte{0x40}, id.Bytes()...)
	question = append(question, make([]byte, 60-len(question))...)
	answer, err := ask(conn, question, answerTimeout)
	if err != nil {
		return err
	}
	if len(answer) < 21 || len(answer) >= len(question) || answer[0]&0xc0 != 0x40 {
		return fmt.Errorf("answered by %x", answer)
	}
	return nil
}
