// SPDX-License-Identifier: MIT

package ports

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// client sends datagrams to the port of a room, and looks who answers.
type client struct {
	r      *room
	v4, v6 int
	serial int
}

func (r *room) client() *client {
	r.Helper()
	c := &client{r: r}
	r.ns.Do(r, func() (err error) {
		if c.v4, err = boundTo(unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
			c.v6, err = boundTo(unix.AF_INET6, &unix.SockaddrInet6{Addr: [16]byte{15: 1}})
		}
		return err
	})
	r.Cleanup(func() { closeAll([]int{c.v4, c.v6}) })
	return c
}

func boundTo(family int, local unix.Sockaddr) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		err = unix.Bind(fd, local)
	}
	return fd, err
}

// long and short make a QUIC packet with an identifier.
func long(e cibir.Encoding, id cibir.ID) []byte {
	source := slices.Concat(filler(e.SourceOffset), id.Bytes(), []byte{0xee})
	return slices.Concat([]byte{0xc0, 0, 0, 0, 1, 8}, filler(8), []byte{byte(len(source))}, source)
}

func short(e cibir.Encoding, id cibir.ID) []byte {
	return slices.Concat([]byte{0x40}, filler(e.DestinationOffset), id.Bytes())
}

func filler(n uint8) []byte { return bytes.Repeat([]byte{0xdd}, int(n)) }

// sent is a datagram that waits for its answer.
type sent struct {
	fd   int
	what string
	text []byte
}

// send sends a datagram of every kind with an identifier: with long and short
// header, over IPv4 and IPv6. Each has a number of its own.
func (c *client) send(id int) (all []sent) {
	c.r.Helper()
	for header, datagram := range map[string][]byte{"long": long(nine, idOf(id)), "short": short(nine, idOf(id))} {
		for _, to := range []struct {
			family string
			fd     int
			addr   unix.Sockaddr
		}{
			{"v4", c.v4, &unix.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}}},
			{"v6", c.v6, &unix.SockaddrInet6{Port: number, Addr: [16]byte{15: 1}}},
		} {
			c.serial++
			text := fmt.Appendf(slices.Clone(datagram), "#%d", c.serial)
			err := unix.Sendto(to.fd, text, 0, to.addr)
			if err != nil && err != unix.ECONNREFUSED { // of an earlier one
				c.r.Fatal(err)
			}
			if err == nil {
				all = append(all, sent{to.fd, fmt.Sprintf("identifier %d, %s header over %s", id, header, to.family), text})
			}
		}
	}
	return all
}

// wantAnswer waits for the answer to a datagram, which must be the next to come.
func (c *client) wantAnswer(s sent, name string) {
	c.r.Helper()
	want := name + " " + string(s.text)
	if got := c.receive(s.fd, limit); got != want {
		c.r.Errorf("%s: answered by %.20q, want %s", s.what, got, name)
	}
}

// wantSilence fails if something has come to the client.
func (c *client) wantSilence() {
	c.r.Helper()
	for _, fd := range []int{c.v4, c.v6} {
		if got := c.receive(fd, 0); got != "" {
			c.r.Errorf("answered by %.20q, want nothing", got)
		}
	}
}

// receive waits for a datagram. Without one it returns nothing.
func (c *client) receive(fd int, patience time.Duration) string {
	b := make([]byte, 1<<16)
	for deadline := time.Now().Add(patience); ; {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err == nil {
			return string(b[:n])
		}
		left := time.Until(deadline)
		if left <= 0 {
			return ""
		}
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
	}
}

// wantAt fails unless all datagrams with an identifier are answered by a child,
// once.
func (c *client) wantAt(id int, name string) {
	c.r.Helper()
	for _, s := range c.send(id) {
		c.wantAnswer(s, name)
	}
	c.wantSilence()
}

// wantNobody fails if a datagram with an identifier is answered. Whoever got it
// also counts it, see report.Misrouted.
func (c *client) wantNobody(ids ...int) {
	c.r.Helper()
	for _, id := range ids {
		c.send(id)
	}
	c.wantSilence()
}

// identifier returns the one of a datagram behind the name of who answers it.
func identifier(answer string) int {
	_, datagram, _ := strings.Cut(answer, " ")
	id, _ := nine.Find([]byte(datagram))
	b := id.Bytes()
	return int(b[0])<<8 | int(b[1])
}
