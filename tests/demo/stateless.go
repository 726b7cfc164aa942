// SPDX-License-Identifier: MIT

package demo

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// answerTimeout is how long a lone datagram may go unanswered. Nothing is lost
// on a veth pair, so there is no second try.
const answerTimeout = 2 * time.Second

// stateless asks a server for the answers that it gives without a connection.
func (c *clients) stateless(ctx context.Context, f family, to spec) error {
	return c.lone(ctx, f, func(conn net.Conn) error {
		if err := checkNegotiation(conn, to); err != nil {
			return fmt.Errorf("version negotiation with %s over %s: %w", to.name(), f.name, err)
		}
		if err := checkStatelessReset(conn, to); err != nil {
			return fmt.Errorf("stateless reset by %s over %s: %w", to.name(), f.name, err)
		}
		return nil
	})
}

// checkUnreachable sends a datagram for a server that is not there. The kernel is
// to answer as if nobody had the port.
func (c *clients) checkUnreachable(ctx context.Context, f family, to spec) error {
	return c.lone(ctx, f, func(conn net.Conn) error {
		question, _, err := unknownVersion(to)
		if err != nil {
			return err
		}
		if answer, err := ask(conn, question); !errors.Is(err, unix.ECONNREFUSED) {
			return fmt.Errorf("a datagram for %s, which is not there, over %s: answered by %x, %v",
				to.name(), f.name, answer, err)
		}
		return nil
	})
}

// lone lends a socket for lone datagrams to the server.
func (c *clients) lone(ctx context.Context, f family, use func(net.Conn) error) (err error) {
	var conn net.Conn
	err = c.ns.do(func() (err error) {
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
func ask(conn net.Conn, question []byte) ([]byte, error) {
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}
	answer := make([]byte, 2048)
	n, err := conn.Read(answer)
	return answer[:n], err
}

// unknownVersion returns a client's first datagram, which offers a version that
// nobody speaks, and its connection IDs as they are to come back.
func unknownVersion(to spec) (datagram, ids []byte, err error) {
	source, err := cidGenerator{to.identifier}.GenerateConnectionID()
	if err != nil {
		return nil, nil, err
	}
	dcid, scid := lengthAnd([]byte("whomever")), lengthAnd(source.Bytes())
	datagram = slices.Concat([]byte{0xc0, 0x5a, 0x6a, 0x7a, 0x8a}, dcid, scid)
	return append(datagram, make([]byte, 1200-len(datagram))...), slices.Concat(scid, dcid), nil
}

// lengthAnd is a connection ID as a long header has it.
func lengthAnd(id []byte) []byte { return append([]byte{byte(len(id))}, id...) }

func checkNegotiation(conn net.Conn, to spec) error {
	question, ids, err := unknownVersion(to)
	if err != nil {
		return err
	}
	answer, err := ask(conn, question)
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
	answer, err := ask(conn, question)
	if err != nil {
		return err
	}
	if len(answer) < 21 || len(answer) >= len(question) || answer[0]&0xc0 != 0x40 {
		return fmt.Errorf("answered by %x", answer)
	}
	return nil
}
