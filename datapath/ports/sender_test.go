// SPDX-License-Identifier: MIT

package ports

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/descriptors"
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
	r.Cleanup(func() { descriptors.CloseAll([]int{c.v4, c.v6}) })
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

// send sends a datagram of every kind with an identifier: with long and short
// header, over IPv4 and IPv6. It returns them; each has a number of its own.
func (c *client) send(id int) (all []string) {
	c.r.Helper()
	for _, datagram := range [][]byte{long(nine, idOf(id)), short(nine, idOf(id))} {
		for fd, to := range map[int]unix.Sockaddr{
			c.v4: &unix.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}},
			c.v6: &unix.SockaddrInet6{Port: number, Addr: [16]byte{15: 1}},
		} {
			c.serial++
			text := fmt.Appendf(slices.Clone(datagram), "#%d", c.serial)
			if err := unix.Sendto(fd, text, 0, to); err != nil {
				c.r.Error(err)
			}
			all = append(all, string(text))
		}
	}
	return all
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

// meanwhile does something all the time, until the test calls stop.
func (r *room) meanwhile(do func() error) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-time.After(2 * time.Millisecond):
			}
			if err := do(); err != nil {
				r.Error(err)
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// at sends to an identifier, and returns an error unless a child answers all, each
// once.
func (c *client) at(id int, name string) error {
	c.r.Helper()
	due := map[string]bool{}
	for _, datagram := range c.send(id) {
		due[name+" "+datagram] = true
	}
	for deadline := time.Now().Add(limit); len(due) != 0 && time.Now().Before(deadline); {
		unix.Poll([]unix.PollFd{{Fd: int32(c.v4), Events: unix.POLLIN}, {Fd: int32(c.v6), Events: unix.POLLIN}}, 100)
		for _, fd := range []int{c.v4, c.v6} {
			got := c.receive(fd, 0)
			if got != "" && !due[got] {
				return fmt.Errorf("identifier %d: answered by %.40q, want %s", id, got, name)
			}
			delete(due, got)
		}
	}
	if len(due) != 0 {
		return fmt.Errorf("identifier %d: not answered by %s: %.40q", id, name, slices.Collect(maps.Keys(due)))
	}
	return c.silence()
}

// nowhere sends to identifiers, and returns an error if there is an answer. Whoever
// gets something also counts it, see report.Misrouted.
func (c *client) nowhere(ids ...int) error {
	c.r.Helper()
	for _, id := range ids {
		c.send(id)
	}
	return c.silence()
}

// silence returns an error if something has come to the client.
func (c *client) silence() error {
	for _, fd := range []int{c.v4, c.v6} {
		if got := c.receive(fd, 0); got != "" {
			return fmt.Errorf("answered by %.40q, want nothing", got)
		}
	}
	return nil
}

func (c *client) wantAt(id int, name string) {
	c.r.Helper()
	if err := c.at(id, name); err != nil {
		c.r.Error(err)
	}
}

func (c *client) wantNobody(ids ...int) {
	c.r.Helper()
	if err := c.nowhere(ids...); err != nil {
		c.r.Error(err)
	}
}

// identifier returns the one of a datagram behind the name of who answers it.
func identifier(answer string) int {
	_, datagram, _ := strings.Cut(answer, " ")
	id, _ := nine.Find([]byte(datagram))
	b := id.Bytes()
	return int(b[0])<<8 | int(b[1])
}
