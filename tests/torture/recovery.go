// SPDX-License-Identifier: MIT

package torture

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

// recoveries are how long dead members had frames.
type recoveries struct {
	work sync.WaitGroup
	mu   sync.Mutex
	took []time.Duration
}

// recoveryBound is when a recovery is a fault of its own.
const recoveryBound = 10 * time.Second

func (r *recoveries) add(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, d)
}

// percentile returns what that part of the recoveries, of 100, did not exceed.
func (r *recoveries) percentile(p int) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.took) == 0 {
		return 0
	}
	slices.Sort(r.took)
	return r.took[(len(r.took)-1)*p/100]
}

// witness returns the witness on AF_XDP.
func (c *Conductor) witness() *role {
	for _, r := range c.roles {
		if r.witness && r.xdp {
			return r
		}
	}
	return nil
}

// watchRecovery measures from when the kernel has ended a member, whose locks are gone then, until no
// pool of the witness has a seat of it. Then all of its frames are back.
func (c *Conductor) watchRecovery(slot int, since time.Time) {
	asked, ifindex, queues := c.witness().slot, c.net.ifindex, c.net.queues
	if asked < 0 {
		return
	}
	c.recoveries.work.Go(func() {
		for queue := 0; queue < queues; {
			a, err := pool.Ask(c.dir, uint32(asked), ifindex, queue)
			switch {
			case err != nil: // the witness has ended as well
				return
			case a == nil || !a.Seats(uint32(slot)):
				queue++
			case c.isTaken(slot): // by a successor, who cannot be told from it
				return
			case time.Since(since) > recoveryBound:
				c.violate("recovery: slot %d still has a seat at queue %d, %v after its death", slot, queue, time.Since(since))
				return
			default:
				time.Sleep(5 * time.Millisecond)
			}
		}
		took := time.Since(since)
		if took > c.Recovery {
			c.note("slow: %v until slot %d was cleaned up after", took, slot)
		}
		c.recoveries.add(took)
	})
}

// slotOf finds the slot of a process by its socket in the state directory; -1 if it has none.
func (c *Conductor) slotOf(pid int) int {
	names, err := c.dir.Names()
	if err != nil {
		return -1
	}
	for _, name := range names {
		if slot, ok := memberSocket(name); ok && c.listens(name) == pid {
			return slot
		}
	}
	return -1
}

// isTaken reports whether there is somebody in a slot.
func (c *Conductor) isTaken(slot int) bool {
	names, err := c.dir.Names()
	return err == nil && slices.ContainsFunc(names, func(name string) bool {
		of, isMember := memberSocket(name)
		return isMember && of == slot && c.listens(name) != 0
	})
}

// memberSocket returns the slot of the member whose socket has a name.
func memberSocket(name string) (slot int, ok bool) {
	rest, begins := strings.CutPrefix(name, "xdp.")
	number, _, _ := strings.Cut(rest, ".")
	slot, err := strconv.Atoi(number)
	return slot, begins && err == nil && strings.HasSuffix(name, ".member")
}

// listens returns which process listens on a socket; 0 if nobody does.
func (c *Conductor) listens(name string) (pid int) {
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: c.dir.ShortPath(name), Net: "unixpacket"})
	if err != nil {
		return 0
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}
