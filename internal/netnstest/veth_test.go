// SPDX-License-Identifier: MIT

package netnstest

import (
	"fmt"
	"net"
	"testing"
	"time"
)

func TestVeth(t *testing.T) {
	CheckFDs(t)
	left := &End{NS: New(t), Name: "l0", Addrs: Prefixes("10.0.0.1/24", "fd00::1/64")}
	right := &End{NS: New(t), Name: "r0", Addrs: Prefixes("10.0.0.2/24", "fd00::2/64")}
	Veth(t, left, right)
	for _, host := range []string{"10.0.0.2", "fd00::2"} {
		server := listen(t, right.NS, net.JoinHostPort(host, "0"))
		left.NS.Do(t, func() error { return send(server.LocalAddr().String()) })
		if err := receive(server); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestVethWithinOneNamespace(t *testing.T) {
	CheckFDs(t)
	ns := New(t)
	a, b := &End{NS: ns, Name: "a"}, &End{NS: ns, Name: "b"}
	Veth(t, a, b)
	if a.Index == 0 || b.Index == 0 || a.Index == b.Index {
		t.Errorf("indices %d and %d", a.Index, b.Index)
	}
}

// listen opens a socket inside ns; it stays there when others use it.
func listen(t *testing.T, ns *NS, addr string) (conn net.PacketConn) {
	t.Helper()
	ns.Do(t, func() (err error) {
		conn, err = net.ListenPacket("udp", addr)
		return err
	})
	t.Cleanup(func() { conn.Close() })
	return conn
}

func send(addr string) error {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("hello"))
	return err
}

func receive(conn net.PacketConn) error {
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	buf := make([]byte, 16)
	n, _, err := conn.ReadFrom(buf)
	if err == nil && string(buf[:n]) != "hello" {
		err = fmt.Errorf("received %q", buf[:n])
	}
	return err
}
