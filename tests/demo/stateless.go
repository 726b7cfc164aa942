// SPDX-License-Identifier: MIT

package demo

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// answerTimeout is how long a lone datagram may go unanswered. Nothing is lost
// on a veth pair, so there is no second try.
const answerTimeout = 2 * time.Second

// stateless asks the server for the answers that it gives without a connection.
func (c *clients) stateless(ctx context.Context, f family, to spec) error {
	conn, err := c.listen(f.client[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	server := netip.AddrPortFrom(f.server, port)
	if err := checkNegotiation(conn, server, to); err != nil {
		return fmt.Errorf("version negotiation over %s: %w", f.name, err)
	}
	if err := checkReset(conn, server, to); err != nil {
		return fmt.Errorf("stateless reset over %s: %w", f.name, err)
	}
	return nil
}

// ask sends a datagram and returns the answer.
func ask(conn *net.UDPConn, to netip.AddrPort, question []byte) ([]byte, error) {
	if _, err := conn.WriteToUDPAddrPort(question, to); err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}
	answer := make([]byte, 2048)
	n, err := conn.Read(answer)
	return answer[:n], err
}

// checkNegotiation offers a version that nobody speaks.
func checkNegotiation(conn *net.UDPConn, server netip.AddrPort, to spec) error {
	dcid := []byte("whomever")
	id, err := cidGenerator{to.identifier}.GenerateConnectionID()
	if err != nil {
		return err
	}
	scid := id.Bytes()
	question := append([]byte{0xc0, 0x5a, 0x6a, 0x7a, 0x8a, byte(len(dcid))}, dcid...)
	question = append(append(question, byte(len(scid))), scid...)
	question = append(question, make([]byte, 1200-len(question))...)
	answer, err := ask(conn, server, question)
	if err != nil {
		return err
	}
	want := append([]byte{0, 0, 0, 0, byte(len(scid))}, scid...)
	want = append(append(want, byte(len(dcid))), dcid...)
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

// checkReset sends a packet of a connection that does not exist.
func checkReset(conn *net.UDPConn, server netip.AddrPort, to spec) error {
	id, err := cidGenerator{to.identifier}.GenerateConnectionID()
	if err != nil {
		return err
	}
	question := append([]byte{0x40}, id.Bytes()...)
	question = append(question, make([]byte, 60-len(question))...)
	answer, err := ask(conn, server, question)
	if err != nil {
		return err
	}
	if len(answer) < 21 || len(answer) >= len(question) || answer[0]&0xc0 != 0x40 {
		return fmt.Errorf("answered by %x", answer)
	}
	return nil
}
