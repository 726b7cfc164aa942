// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netns"
)

// flood sends as fast as it can from a peer's namespace, until the socket, which only it has, is taken away. What it
// returns does that, in the midst of it.
func (p *peer) flood(port uint16) (end func()) {
	p.Helper()
	fd := -1
	p.end.NS.Do(p, func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	to := &unix.SockaddrInet4{Addr: p.to.As4(), Port: int(port)}
	var done sync.WaitGroup
	done.Go(func() {
		for unix.Sendto(fd, []byte("flood"), 0, to) != unix.ENOTSOCK {
		}
		unix.Close(fd)
	})
	return func() {
		p.Helper()
		if err := forget(fd); err != nil {
			p.Error(err)
		}
		done.Wait()
	}
}

// forget puts something in the place of a socket that is no socket, so that the kernel lets the socket go and the number
// stays taken.
func forget(fd int) error {
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(null)
	return unix.Dup3(null, fd, unix.O_CLOEXEC)
}

// The namespace at the other end is deleted in the midst of traffic both ways, and our interface with it. Others are
// served on, and so is the next one of that name.
func TestNamespaceOfThePeerIsDeleted(t *testing.T) {
	h := newHost(t)
	one, two := h.wire("one", 1, 0), h.wire("two", 2, 0)
	h.open(Options{})
	h.listen(443)
	one.reaches(443, "by one")
	two.answered("from two")
	end := two.flood(443)
	h.until("the flood arrives", func() bool { return h.count("flood") > 1000 })
	steady := steadily(one)
	if err := forget(two.fd); err != nil {
		t.Fatal(err)
	}
	two.end.NS.LetGo()
	two.reachesOnBehalf("flood") // it lives as long as the socket of the flood does
	end()
	h.until("two is gone", func() bool { return h.status("two").Name == "" })
	steady.end()
	two = h.wire("two", 2, 0)
	h.until("two is served again", h.serves("two", 1))
	two.reaches(443, "by two again")
	two.answered("from two again")
}

// reachesOnBehalf waits until more has arrived that others send.
func (p *peer) reachesOnBehalf(payload string) {
	p.Helper()
	before := p.count(payload)
	p.until("more of "+payload+" arrives", func() bool { return p.count(payload) > before })
}

// A namespace that has nobody in it any more, and no name, lives as long as an engine that was opened in it, which serves
// all the time, and goes with it.
func TestNamespaceLivesAsLongAsItsEngine(t *testing.T) {
	h := newHost(t)
	p := h.wire("eth", 1, 0)
	h.open(Options{})
	ticket := h.add(443)
	p.reaches(443, "before")
	h.ns.LetGo()
	p.reaches(443, "after its end")
	p.answered("from nowhere")
	end := p.flood(443)
	p.reachesOnBehalf("flood")
	h.engine.Remove(ticket)
	h.end()
	h.until("the interface goes with the namespace", func() bool { return !p.has("peer") })
	end()
}

// The keeper's thread goes back to where it was: it may be one that never ends.
func TestKeepersThreadComesBack(t *testing.T) {
	h := newHost(t)
	var ns *os.File
	h.ns.Do(t, func() (err error) {
		ns, err = os.Open(threadNamespace)
		return err
	})
	defer ns.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		home, err1 := netns.InodeOf(threadNamespace)
		leave, err2 := enterNamespace(ns)
		there, err3 := netns.InodeOf(threadNamespace)
		leave()
		back, err4 := netns.InodeOf(threadNamespace)
		if err := errors.Join(err1, err2, err3, err4); err != nil || there == home || back != home {
			t.Errorf("from namespace %d to %d and to %d: %v", home, there, back, err)
		}
	}()
	<-done
}

// has reports whether the peer's namespace has an interface.
func (p *peer) has(name string) (found bool) {
	p.Helper()
	p.end.NS.Do(p, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		_, err = h.LinkByName(name)
		found = err == nil
		return nil
	})
	return found
}
