// SPDX-License-Identifier: MIT

package pool

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// View is what can be seen of a network namespace's members and pools from outside.
type View struct {
	Members []Observed     // by slot
	Pools   []ObservedPool // by interface and queue
}

// Observed is a member.
type Observed struct {
	Peer        // PID is 0 where it cannot be connected to, or is not of our PID namespace
	UID  uint32 // of its process; of no meaning where it cannot be connected to

	// Err says why it tells nothing, or not all: an error that is ErrSilent where its
	// process is stopped, or hangs.
	Err error
}

// ErrSilent says that a member did not answer in time.
var ErrSilent = errors.New("it does not answer: its process is stopped, or hangs")

// ObservedPool is the pool of a queue.
type ObservedPool struct {
	Ifindex, Queue int
	Seats          int      // that somebody has
	Account        *Account // nil where no member told of it
}

// Account is what a member tells of a pool.
type Account struct {
	By      uint32 // its slot
	Most    int    // members that the pool takes
	Census  Census
	Sockets []SocketAccount // of Census.Seats, in that order
}

// Seats reports whether the member in a slot has a seat.
func (a *Account) Seats(slot uint32) bool {
	return slices.ContainsFunc(a.Census.Seats, func(s SeatCensus) bool { return uint32(s.Slot) == slot })
}

// SocketAccount is what the kernel says of a member's socket.
type SocketAccount struct {
	Known    bool // it could be looked at
	ZeroCopy bool
	Kernel   xsk.Statistics
}

// Observe looks at the members and pools in the network namespace of dir from outside.
// It takes no slot and no seat, changes nothing, and no member takes notice of it. Locks
// say who is there; those who are tell of their pools. Who does not answer within a second is
// shown without.
//
// Error: [VersionError], with the slots that are taken and nothing else.
func Observe(dir *rundir.Dir) (View, error) {
	names, err := dir.Names()
	if err != nil {
		return View{}, err
	}
	var v View
	if err := v.findMembers(dir); err != nil {
		return v, err
	}
	if err := v.findPools(dir, names); err != nil {
		return v, err
	}
	v.askAll(dir, names)
	return v, nil
}

// findMembers finds the slots that somebody has.
func (v *View) findMembers(dir *rundir.Dir) error {
	f, err := dir.OpenExisting("xdp")
	if errors.Is(err, os.ErrNotExist) {
		return nil // nobody ever was
	}
	if err != nil {
		return err
	}
	defer f.Close()
	slots, err := locked(f, slotAt, MaxSlots)
	for _, slot := range slots {
		v.Members = append(v.Members, Observed{Peer: Peer{Slot: uint32(slot)}, Err: errUnreachable})
	}
	if err != nil {
		return err
	}
	lock, held, err := f.Held(versionAt, versions, true)
	if spoken := int(max(lock.Start, versionAt) - versionAt); held && spoken != version {
		return &VersionError{Ours: version, Theirs: spoken}
	}
	return err
}

// errUnreachable is the case of who has a slot and no socket yet, or not any more.
var errUnreachable = errors.New("it cannot be connected to: it comes, or goes, or has stopped on the way")

// locked returns which of n bytes another open file has.
func locked(f *rundir.File, at int64, n int) (list []int, err error) {
	for i := range n {
		_, held, err := f.Held(at+int64(i), 1, true)
		if err != nil {
			return list, err
		}
		if held {
			list = append(list, i)
		}
	}
	return list, nil
}

// findPools finds the queues at which somebody has a seat.
func (v *View) findPools(dir *rundir.Dir, names []string) error {
	for _, name := range names {
		p, ok := parsePool(name)
		if !ok {
			continue
		}
		f, err := dir.OpenExisting(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		seats, err := locked(f, seatAt, MaxMembers)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if p.Seats = len(seats); p.Seats > 0 {
			v.Pools = append(v.Pools, p)
		}
	}
	slices.SortFunc(v.Pools, func(a, b ObservedPool) int {
		return cmp.Or(cmp.Compare(a.Ifindex, b.Ifindex), cmp.Compare(a.Queue, b.Queue))
	})
	return nil
}

// parsePool reads the name of a queue's lock file.
func parsePool(name string) (p ObservedPool, ok bool) {
	rest, ok := strings.CutPrefix(name, "xdp-")
	ifindex, queue, two := strings.Cut(rest, "-")
	if !ok || !two {
		return p, false
	}
	i, errI := strconv.ParseUint(ifindex, 10, 31)
	q, errQ := strconv.ParseUint(queue, 10, 31)
	return ObservedPool{Ifindex: int(i), Queue: int(q)}, errI == nil && errQ == nil
}

// askAll asks all members at once, so that those that are stopped cost one wait.
func (v *View) askAll(dir *rundir.Dir, names []string) {
	var work sync.WaitGroup
	var mu sync.Mutex
	var learn []func() // what has been heard: nothing changes while it is asked
	for _, name := range names {
		slot, ok := parseSocket(name)
		at := slices.IndexFunc(v.Members, func(o Observed) bool { return o.Slot == slot })
		if !ok || at < 0 {
			continue // a dead member's
		}
		work.Go(func() {
			p, err := call(dir, name, slot)
			if err != nil { // a predecessor's, in the same slot; or so many ask that there is no room
				return
			}
			defer p.conn.Close()
			accounts, err := p.askAbout(v.Pools)
			mu.Lock()
			defer mu.Unlock()
			learn = append(learn, func() {
				v.Members[at] = Observed{p.Peer, p.uid, err}
				for i, a := range accounts {
					v.Pools[i].learn(a)
				}
			})
		})
	}
	work.Wait()
	for _, f := range learn {
		f()
	}
}

// call connects to the socket of a member.
func call(dir *rundir.Dir, name string, slot uint32) (*peer, error) {
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: dir.ShortPath(name), Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	return newPeer(conn, slot), nil
}

// Ask asks one member about a pool, as [Observe] asks all of them. The account is nil if it is
// not in that pool. Errors are ErrSilent, and that there is no such member.
func Ask(dir *rundir.Dir, slot uint32, ifindex, queue int) (*Account, error) {
	names, err := dir.Names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if s, ok := parseSocket(name); !ok || s != slot {
			continue
		}
		p, err := call(dir, name, slot)
		if err != nil {
			continue // a predecessor's
		}
		o := ObservedPool{Ifindex: ifindex, Queue: queue}
		accounts, err := p.askAbout([]ObservedPool{o})
		p.conn.Close()
		o.learn(accounts[0])
		return o.Account, err
	}
	return nil, fmt.Errorf("slot %d: %w", slot, errUnreachable)
}

// askAbout asks a member about pools. It may be in none of them.
func (p *peer) askAbout(pools []ObservedPool) ([]*account, error) {
	_ = p.conn.SetDeadline(time.Now().Add(answerPatience))
	accounts := make([]*account, len(pools))
	topics := []topic{{}} // to hear whether it answers
	for _, o := range pools {
		topics = append(topics, topic{uint32(o.Ifindex), uint32(o.Queue), 1})
	}
	for i, t := range topics {
		a, err := p.askOne(uint32(i), t)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = ErrSilent
		}
		if err != nil {
			return accounts, err
		}
		if a.Found == 1 && i > 0 {
			accounts[i-1] = a
		}
	}
	return accounts, nil
}

func (p *peer) askOne(id uint32, t topic) (*account, error) {
	if err := send(p.conn, &message{Kind: tell, ID: id, Topic: t}, nil); err != nil {
		return nil, err
	}
	b := make([]byte, accountRoom)
	n, err := p.conn.Read(b)
	if errors.Is(err, unix.ECONNRESET) || n == 0 && err == nil {
		err = net.ErrClosed
	}
	if err != nil {
		return nil, err
	}
	a, err := decodeAccount(b[:n])
	if err == nil && (a.ID != id || a.Topic != t || a.Slot != p.Slot) {
		err = fmt.Errorf("slot %d tells of %s as answer %d, where slot %d was asked about %s as %d", a.Slot, a.Topic, a.ID, p.Slot, t, id)
	}
	return a, err
}

const accountRoom = 1 << 14 // more than an account has

// learn takes the account that misses least: while packets come, chunks move as they are
// counted.
func (o *ObservedPool) learn(a *account) {
	if a == nil || o.Account != nil && o.Account.Census.Missing <= int(a.Missing) {
		return
	}
	c := Census{
		Idle: int(a.Idle), Receive: int(a.Shape.Receive - a.Idle), Fill: int(a.Fill), Missing: int(a.Missing), Twice: int(a.Twice),
		Send: int(a.Shape.sending()),
	}
	o.Account = &Account{By: a.Slot, Most: int(a.Shape.Members)}
	for _, s := range a.Seats[:a.Count] {
		c.Ring += int(s.Ring)
		c.InFlight += int(s.InFlight)
		c.Seats = append(c.Seats, SeatCensus{Seat: int(s.Seat), Slot: int(s.Slot), Ring: int(s.Ring), InFlight: int(s.InFlight), Known: s.Known == 1})
		o.Account.Sockets = append(o.Account.Sockets, SocketAccount{s.Known == 1, s.ZeroCopy == 1, s.Kernel})
	}
	o.Account.Census = c
}
