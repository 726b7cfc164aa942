// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// keeper makes the network follow what changes on the host, on a thread of its own in
// the engine's network namespace, so that no data thread ever waits for it.
type keeper struct {
	namespace *os.File
	wake      chan struct{} // of room one: that there is something to look at
	done      chan struct{} // closed by close
	channels  *os.File      // nil where there are no such announcements
	work      sync.WaitGroup
}

const threadNamespace = "/proc/thread-self/ns/net"

// newKeeper makes one for the network namespace of the calling thread.
func newKeeper() (*keeper, error) {
	ns, err := os.Open(threadNamespace)
	if err != nil {
		return nil, kerr.New("open", threadNamespace, err, "")
	}
	k := &keeper{namespace: ns, wake: make(chan struct{}, 1), done: make(chan struct{})}
	// Without announcements channels are looked at when anything else changes.
	k.channels, _ = watchChannels()
	return k, nil
}

// look asks for a look at the host. It never waits.
func (k *keeper) look() {
	if k == nil { // in map mode, where nothing is followed
		return
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// start lets n follow from now on, and returns after its first look, with the error
// that has prevented it.
func (k *keeper) start(n *network) error {
	first := make(chan error)
	k.work.Go(func() { k.run(n, first) })
	if err := <-first; err != nil {
		return err
	}
	if k.channels != nil {
		k.work.Go(func() { hear(k.channels, k.look) })
	}
	return nil
}

// run looks until the keeper is closed.
func (k *keeper) run(n *network, first chan<- error) {
	leave, err := enterNamespace(k.namespace)
	defer leave()
	var h *netlink.Handle
	if err == nil {
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	if err == nil {
		defer h.Close()
		err = n.follow(h)
	}
	first <- err
	if err != nil {
		return
	}
	for {
		var again <-chan time.Time
		if at := n.lookAgain(); !at.IsZero() {
			again = time.After(time.Until(at))
		}
		select {
		case <-k.done:
			return
		case <-k.wake:
		case <-again:
		}
		_ = n.follow(h) // what was so before stays, until the next announcement
	}
}

// enterNamespace moves the calling thread, unless it is there, and keeps it for the goroutine. leave moves it back. It
// is not enough to let the thread end with the goroutine: the first of Go's threads never ends, and the namespace
// would live as long as the process.
func enterNamespace(ns *os.File) (leave func(), err error) {
	runtime.LockOSThread()
	var there, here unix.Stat_t
	err = errors.Join(unix.Fstat(int(ns.Fd()), &there), unix.Stat(threadNamespace, &here))
	if err != nil || there.Ino == here.Ino && there.Dev == here.Dev {
		return runtime.UnlockOSThread, kerr.New("stat", threadNamespace, err, "")
	}
	home, err := os.Open(threadNamespace)
	if err != nil {
		return runtime.UnlockOSThread, kerr.New("open", threadNamespace, err, "")
	}
	if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		home.Close()
		return runtime.UnlockOSThread, kerr.New("setns", "the network namespace of who opens the datapath", err,
			"threads in several network namespaces need CAP_SYS_ADMIN")
	}
	return func() {
		defer home.Close()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil { // else nobody may have the thread any more
			runtime.UnlockOSThread()
		}
	}, nil
}

// close ends the keeper, and waits for it.
func (k *keeper) close() {
	if k == nil {
		return
	}
	close(k.done)
	k.channels.Close() // does nothing to nil
	k.work.Wait()
	k.namespace.Close()
}
