// SPDX-License-Identifier: MIT

package steering

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// memberEnv makes the test program play a member: "SLOT IDENTIFIER SOCKETS".
const memberEnv = "STEERING_TEST_MEMBER"

// memberMain adopts the group that it finds behind the standard descriptors,
// publishes, says so, and answers every datagram with its identifier and the
// datagram, until its standard input ends.
func memberMain() {
	if err := member(os.Getenv(memberEnv)); err != nil {
		fmt.Fprintln(os.Stderr, "member:", err)
		os.Exit(1)
	}
}

func member(what string) error {
	var slot uint32
	var text string
	var n int
	if _, err := fmt.Sscan(what, &slot, &text, &n); err != nil {
		return err
	}
	id, err := cibir.ParseID(text)
	if err != nil {
		return err
	}
	g, err := Adopt(FDs{3, 4, 5, 6, 7, 8, 9})
	if err != nil {
		return err
	}
	fds, err := memberSockets(g, n)
	if err != nil {
		return err
	}
	if err := g.Publish(slot, id, fds); err != nil {
		return err
	}
	fmt.Println("ready")
	return answer(id, fds)
}

func answer(id cibir.ID, fds []int) error {
	list := []unix.PollFd{{Fd: 0, Events: unix.POLLIN}}
	for _, fd := range fds {
		list = append(list, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	b := make([]byte, 1<<16)
	for {
		if _, err := unix.Poll(list, -1); err != nil && err != unix.EINTR {
			return err
		}
		if list[0].Revents != 0 {
			return nil
		}
		for _, f := range list[1:] {
			if f.Revents == 0 {
				continue
			}
			n, from, err := unix.Recvfrom(int(f.Fd), b, 0)
			if err == nil {
				err = unix.Sendto(int(f.Fd), slices.Concat(id.Bytes(), b[:n]), 0, from)
			}
			if err != nil {
				return err
			}
		}
	}
}

// start starts a member in the namespace and waits until it has published.
func (p *port) start(t *testing.T, slot uint32, id cibir.ID) *netnstest.Child {
	t.Helper()
	fds := p.g.FDs()
	return p.ns.StartChild(t, fmt.Sprintf("%s=%d %s 2", memberEnv, slot, id), fds[:]...)
}

// wantAnswers sends datagrams of all kinds, and fails unless the process with the identifier answers each.
func (p *port) wantAnswers(id cibir.ID) {
	p.t.Helper()
	for _, datagram := range [][]byte{long(usual, id), short(usual, id)} {
		for family, client := range map[string]int{"v4": p.v4, "v6": p.v6} {
			if c := p.judge(family, datagram); c != (Counters{Delivered: 1}) {
				p.t.Errorf("identifier %v over %s: %+v", id, family, c)
			} else if got := p.receive(client); !slices.Equal(got, slices.Concat(id.Bytes(), datagram)) {
				p.t.Errorf("identifier %v over %s was answered by %x", id, family, head(got))
			}
		}
	}
}

func TestProcesses(t *testing.T) {
	p := newPort(t, usual)
	var ids []cibir.ID
	var members []*netnstest.Child
	for i := range 3 {
		ids = append(ids, identifier(usual.Length, 0x100+i))
		members = append(members, p.start(t, uint32(10*i), ids[i]))
	}
	for _, id := range ids {
		p.wantAnswers(id)
	}

	members[1].Kill()
	p.wantDropped(Counters{DeadMember: 1}, long(usual, ids[1]))
	p.wantDropped(Counters{DeadMember: 1}, short(usual, ids[1]))
	p.wantAnswers(ids[0])
	p.wantAnswers(ids[2])

	members[1] = p.start(t, 10, ids[1]) // the same again
	p.wantAnswers(ids[1])

	members[1].Kill()
	members[1] = p.start(t, 4000, ids[1]) // in another slot
	p.wantAnswers(ids[1])

	fresh := identifier(usual.Length, 0x200)
	p.start(t, 10, fresh) // the slot that it had, for somebody else
	p.wantAnswers(fresh)
	p.wantAnswers(ids[1])

	members[1].Kill()
	other := identifier(usual.Length, 0x201)
	p.start(t, 4000, other) // a slot whose identifier nobody takes up again
	p.wantAnswers(other)
	p.wantDropped(Counters{UnknownIdentifier: 1}, short(usual, ids[1]))

	for _, m := range members {
		m.Kill()
	}
	p.wantDropped(Counters{DeadMember: 1}, short(usual, ids[0]))
	p.wantAnswers(fresh)
}
