// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/datapath/xsk"
)

// device is an interface of the host, and what came of serving it. The keeper changes
// it, under the network's lock.
type device struct {
	link    netif
	reason  error // why it is not served, or not wholly; nil where it is
	served  bool
	program *program // of one that is served; nil in map mode
	ruled   bool     // the program has the rules of all receivers; under the engine's lock too
	queues  []*Queue // in order of their numbers
	total   int      // receive queues that the device has; 0 where it does not say

	tried netif // as it was when serving it failed
	pause time.Duration
	again time.Time // when to try again; zero: when it changes

	tooLong uint64 // packets longer than a chunk takes, which the kernel has got
	told    bool   // of them
}

// Bounds of the time until what has been refused is tried again. Another's XDP program
// or AF_XDP socket goes without an announcement.
const (
	firstPause = time.Second
	longPause  = time.Minute
)

// failed notes that serving the device has failed.
func (d *device) failed(err error, now time.Time) {
	if d.tried != d.link {
		d.pause = 0
	}
	d.pause = min(max(2*d.pause, firstPause), longPause)
	d.reason, d.tried, d.again = err, d.link, now.Add(d.pause)
}

// due reports whether it is time to try to serve the device.
func (d *device) due(now time.Time) bool {
	return d.tried != d.link || !now.Before(d.again)
}

// lost says why what the engine has of the device is worth nothing any more: the kernel
// takes the sockets off a device that leaves the namespace, and the program where somebody
// detaches it by force. Neither comes back.
func (d *device) lost() error {
	for _, q := range d.queues {
		if _, _, err := unix.Recvfrom(q.seat.FD(), nil, unix.MSG_DONTWAIT); err == unix.ENXIO {
			return errors.New("the device has left")
		}
	}
	if d.program != nil {
		if _, err := d.program.Attachment(); errors.Is(err, classifier.ErrDetached) {
			return errors.New("its XDP program has been taken off")
		}
	}
	return nil
}

// wanted is how many queues are to be served; unbounded where only trying tells.
func (d *device) wanted() int {
	if d.total == 0 {
		return classifier.MaxQueues
	}
	return min(d.total, classifier.MaxQueues)
}

// join takes seats at the queues from number len(d.queues) on. It returns those that
// it could get, with the error that ended it.
func (n *network) join(d *device) (joined []*Queue, err error) {
	for number := len(d.queues); number < d.wanted(); number++ {
		q, err := n.joinOne(d.link.index, number)
		if number > 0 && (errors.Is(err, xsk.ErrNoQueue) || errors.Is(err, xsk.ErrPermission) && d.total == 0) {
			break // who may not try takes those that others lend
		}
		if err != nil {
			return joined, fmt.Errorf("queue %d: %w", number, err)
		}
		joined = append(joined, q)
	}
	return joined, nil
}

// joinOne takes a seat. A new pool is a small one where the process may not lock the
// memory of a usual one (RLIMIT_MEMLOCK): 4 MiB, for four members.
func (n *network) joinOne(ifindex, number int) (*Queue, error) {
	o := pool.Options{Checksums: n.features.Metadata, Mode: n.engine.options.ZeroCopy.mode()}
	seat, err := n.member.Join(ifindex, number, o)
	if errors.Is(err, unix.ENOBUFS) {
		o.Members, o.Ring, o.Send, o.Spare = 4, 256, 128, 512
		seat, err = n.member.Join(ifindex, number, o)
	}
	if err != nil {
		return nil, err
	}
	zeroCopy := seat.ZeroCopy()
	if err := n.engine.options.ZeroCopy.refuses(zeroCopy); err != nil {
		return nil, errors.Join(err, seat.Leave())
	}
	q := &Queue{engine: n.engine, ifindex: ifindex, number: number, seat: seat, zeroCopy: zeroCopy, hugePages: seat.HugePages(), checksum: frame.Full, kernelSends: n.engine.options.Transmit.byKernel(zeroCopy)}
	if n.features.Metadata && !zeroCopy { // which not every driver with zero-copy has
		q.checksum = frame.Partial
	}
	return q, nil
}

// serve takes seats at all queues of a device, or at none.
func (n *network) serve(d *device, now time.Time) {
	queues, err := n.join(d)
	if err != nil {
		for _, q := range queues {
			_ = q.leave()
		}
		n.refuse(d, err, now)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	d.queues, d.reason, d.tried, d.pause = queues, nil, d.link, 0
	d.tooLong, d.told = 0, false
	d.served = true
	d.program, _ = queues[0].seat.(*pool.Queue).Program().(*program)
	n.changed = true
}

// refuse notes, and tells once, that a device cannot be served.
func (n *network) refuse(d *device, err error, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d.reason == nil || d.reason.Error() != err.Error() {
		n.note(Warning, "interface %s is not served by AF_XDP: %v", d.link.name, err)
	}
	d.failed(err, now)
}

// adapt follows a change of how many queues a device that is served has. The kernel
// keeps a queue as long as it has a socket, so queues mostly come.
func (n *network) adapt(d *device, now time.Time) {
	if gone := d.wanted(); d.total != 0 && gone < len(d.queues) {
		n.mu.Lock()
		for _, q := range d.queues[gone:] {
			n.end(q)
		}
		n.mu.Unlock()
		return
	}
	if !d.due(now) || d.total == len(d.queues) || d.total == 0 && d.tried == d.link {
		return
	}
	more, err := n.join(d)
	if len(more) > 0 && d.program != nil {
		err = errors.Join(err, d.program.Refresh())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	d.queues = append(d.queues, more...)
	d.tried, d.reason = d.link, nil
	if len(more) > 0 {
		n.changed = true
		n.note(Info, "interface %s has %d queues more, which are served by AF_XDP", d.link.name, len(more))
	}
	if err != nil {
		n.note(Warning, "interface %s is served by AF_XDP in part: %v", d.link.name, err)
		d.failed(err, now)
	}
}

// retire ends the service of a device.
func (n *network) retire(d *device, why error) {
	n.engine.mu.Lock() // so that nobody gives it rules any more
	defer n.engine.mu.Unlock()
	n.engine.unrule(d)
	n.mu.Lock()
	defer n.mu.Unlock()
	d.served, d.program, d.reason = false, nil, why
	for _, q := range d.queues {
		n.end(q)
	}
	n.note(Warning, "interface %s is not served by AF_XDP any more: %v; sockets go on over the kernel", d.link.name, why)
}

// end lets C give the endpoint of a queue up, after which the seat is left. The caller
// has mu.
func (n *network) end(q *Queue) {
	switch q.state {
	case waiting:
		q.state = unwatched
	case taken, watched:
		q.state = ending
	}
	n.changed = true
}

// leaveEnded leaves the seats that no worker looks at any more.
func (n *network) leaveEnded(d *device) {
	n.mu.Lock()
	ended := slices.DeleteFunc(slices.Clone(d.queues), func(q *Queue) bool { return q.state != unwatched })
	d.queues = slices.DeleteFunc(slices.Clone(d.queues), func(q *Queue) bool { return q.state == unwatched })
	n.mu.Unlock()
	for _, q := range ended {
		_ = q.leave()
	}
}

// complete reports whether every queue of a device that is served has its endpoint. The
// caller has mu.
func (d *device) complete() bool {
	return d.served && !slices.ContainsFunc(d.queues, func(q *Queue) bool { return q.state <= taken })
}
