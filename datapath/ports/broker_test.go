// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/rundir"
)

// broker starts a broker until the test ends.
func (r *room) broker(dir *rundir.Dir, handle handler) *broker {
	r.Helper()
	b, err := startBroker(dir, "udp-4433", brokerSuffix, handle)
	r.must(err)
	r.Cleanup(b.close)
	return b
}

func nothing(peer, question) (grant, error) { return grant{}, nil }

// What a process that has died leaves is removed by whoever finds it.
func TestDeadBrokers(t *testing.T) {
	r := enterRoom(t)
	dir := r.dir()
	alive := r.broker(dir, nothing)
	dead := dir.ShortPath("udp-4433.DEAD.join")
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: dead, Net: "unixpacket"})
	r.must(err)
	listener.SetUnlinkOnClose(false)
	listener.Close()
	for _, name := range []string{"udp-4433", "udp-44330.OTHER.join", "tcp-4433.OTHER.join", "udp-4433.EARLY"} {
		r.must(os.WriteFile(dir.ShortPath(name), nil, 0o600))
	}
	visited := 0
	failures := visit(dir, "udp-4433", limit, func(g *guest) error {
		visited++
		_, _, err := g.ask(opJoin, 0)
		return errors.Join(err, errors.New("next"))
	})
	if visited != 1 || len(failures) != 1 {
		t.Errorf("%d were asked; failures %v", visited, failures)
	}
	if _, err := os.Lstat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead one is there: %v", err)
	}
	alive.close()
	alive.close()
	if names := r.sockets(); slices.Contains(names, alive.path) {
		t.Errorf("the closed one is there: %q", names)
	}
	if failures := visit(dir, "udp-4433", limit, nil); failures == nil || len(failures) != 0 {
		t.Errorf("failures %v, want nobody", failures)
	}

	removeBrokers(dir, "udp-4433")
	names, err := dir.Names()
	r.must(err)
	if want := []string{"tcp-4433.OTHER.join", "udp-4433", "udp-44330.OTHER.join"}; !slices.Equal(names, want) {
		t.Errorf("left %q, want %q", names, want)
	}
}

// Those who have sockets to spare are asked before others, in any order.
func TestOrderOfMembers(t *testing.T) {
	r := enterRoom(t)
	dir := r.dir()
	for _, name := range []string{"A.join", "B.spares.join", "C.join", "D.spares.join", "E"} {
		r.must(os.WriteFile(dir.ShortPath("udp-4433."+name), nil, 0o600))
	}
	first := map[string]bool{}
	for len(first) < 2 {
		names, err := brokers(dir, "udp-4433")
		r.must(err)
		for i, name := range names {
			if strings.HasSuffix(name, sparesSuffix) != (i < 2) || len(names) != 4 {
				t.Fatalf("the members are asked in the order %q", names)
			}
		}
		first[names[0]] = true
	}
}

// The opener of a port cleans up after those who had it before.
func TestOpenerRemovesDeadBrokers(t *testing.T) {
	r := enterRoom(t)
	for _, name := range []string{"DEAD.join", "EARLY"} { // as killed processes leave them
		listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: r.dir().ShortPath("udp-4433." + name), Net: "unixpacket"})
		r.must(err)
		listener.SetUnlinkOnClose(false)
		listener.Close()
	}
	r.mustAcquire(member(1))
	if names := r.sockets(); len(names) != 1 {
		t.Errorf("in the state directory: %q", names)
	}
}

// One guest more than there is room for takes the place of the first.
func TestFirstGuestMakesRoom(t *testing.T) {
	r := enterRoom(t)
	b := r.broker(r.dir(), nothing)
	var guests []*net.UnixConn
	for range maxGuests + 1 {
		conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: b.path, Net: "unixpacket"})
		r.must(err)
		defer conn.Close()
		r.must(conn.SetDeadline(time.Now().Add(limit)))
		if _, _, err := (&guest{conn, limit}).ask(opJoin, 0); err != nil {
			t.Errorf("guest %d: %v", len(guests), err)
		}
		guests = append(guests, conn)
	}
	if _, err := guests[0].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the first guest reads %v", err)
	}
	if _, _, err := (&guest{guests[1], limit}).ask(opJoin, 0); err != nil {
		t.Errorf("the second: %v", err)
	}
}

func TestCloseCutsConversationsOff(t *testing.T) {
	r := enterRoom(t)
	dir := r.dir()
	inside, leave := make(chan struct{}), make(chan struct{})
	b := r.broker(dir, func(peer, question) (grant, error) {
		inside <- struct{}{}
		<-leave
		return grant{}, nil
	})
	guests := make(chan error, 2)
	for range 2 {
		go func() {
			guests <- visitOne(b.path, limit, func(g *guest) error {
				_, _, err := g.ask(opJoin, 0)
				return err
			})
		}()
		<-inside
	}
	closed := make(chan struct{})
	go func() {
		b.close()
		close(closed)
	}()
	for range 2 { // at once
		if err := <-guests; !errors.Is(err, errSilent) {
			t.Errorf("error %v", err)
		}
	}
	select {
	case <-closed:
		t.Error("closed while handlers run")
	default:
	}
	close(leave)
	<-closed
}

// A member that has no descriptor left for a guest serves on when it has.
func TestMemberAtItsLimitOfDescriptors(t *testing.T) {
	r := newRoom(t)
	c := r.client()
	one, two := r.start("one", who{}), r.start("two", who{})
	one.acquire(1)
	one.within(3, func() {
		two.tell(order{Do: "acquire", ID: 2})
		time.Sleep(20 * time.Millisecond)
	})
	if rep, err := two.hear(); err != nil || rep.Err != "" {
		t.Errorf("%+v, %v", rep, err)
	}
	c.wantAt(1, "one")
	c.wantAt(2, "two")
}

// A broker that cannot be had is an error, and leaves nothing.
func TestBrokerCannotBeHad(t *testing.T) {
	r := enterRoom(t)
	dir := r.dir()
	r.must(os.RemoveAll(dir.Path()))
	if b, err := startBroker(dir, "udp-4433", brokerSuffix, nothing); err == nil {
		b.close()
		t.Error("a broker in no directory")
	} else {
		wantWords(t, err.Error(), "unix socket in "+dir.Path(), "nobody could join the port")
	}
}
