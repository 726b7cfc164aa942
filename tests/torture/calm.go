// SPDX-License-Identifier: MIT

package torture

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"syscall"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

// calmEvery is how many steps there are between two times when all is to be quiet.
const calmEvery = 150

// calmTime is how long quiet may take to come.
const calmTime = 20 * time.Second

// calm undoes all that was done, and takes stock.
func (c *Conductor) calm() error {
	c.note("calm")
	if err := c.heal(); err != nil {
		return err
	}
	c.calms++
	for _, look := range []func() error{c.awaitAnswers, c.silence, c.audit, c.checkLosses, c.checkDescriptors} {
		if err := look(); err != nil || c.violated() != nil {
			return err
		}
	}
	c.resumeLoad()
	return nil
}

// heal undoes what is left of actions.
func (c *Conductor) heal() error {
	if err := c.doDue(math.MaxInt); err != nil {
		return err
	}
	for len(c.due) > 0 { // what has been left to do by those
		if err := c.doDue(math.MaxInt); err != nil {
			return err
		}
	}
	for _, s := range c.extras {
		if r := c.holder(s.id); r != nil {
			if err := c.release(r, s); err != nil {
				return err
			}
		}
	}
	c.reap()
	return c.followInterface()
}

// followInterface waits until the servers on AF_XDP are at every queue that there is now.
func (c *Conductor) followInterface() error {
	return c.await("seats at every queue", func() error {
		for _, r := range c.roles {
			if r.xdp && !c.seated(r) {
				return fmt.Errorf("%v is not at all %d queues of interface %d: %v", r, c.net.queues, c.net.ifindex, &r.proc.said)
			}
		}
		return nil
	})
}

// seated reports whether a server has a seat at every queue. It may have another slot than before.
func (c *Conductor) seated(r *role) bool {
	if r.slot < 0 {
		r.slot = c.slotOf(r.proc.pid)
	}
	for queue := range c.net.queues {
		a, err := pool.Ask(c.dir, uint32(r.slot), c.net.ifindex, queue)
		if err != nil || a == nil || !a.Seats(uint32(r.slot)) {
			return false
		}
	}
	return true
}

// reap takes notice of children of servers that were killed.
func (c *Conductor) reap() {
	var left []int
	for _, pid := range c.orphans {
		if !reap(pid) {
			left = append(left, pid)
		}
	}
	c.orphans = left
}

// awaitAnswers waits until every server answers, by the way that it is to.
func (c *Conductor) awaitAnswers() error {
	before := map[*role]int{}
	for _, r := range c.roles {
		before[r] = r.answers()
	}
	return c.await("answers of all", func() error {
		for _, r := range c.roles {
			if r.answers() <= before[r] {
				return fmt.Errorf("%v does not answer", r)
			}
		}
		return nil
	})
}

// answers counts the good ones.
func (r *role) answers() int {
	if r.exchanges != nil {
		return r.exchanges.count()
	}
	r.stream.mu.Lock()
	defer r.stream.mu.Unlock()
	return int(r.stream.answered)
}

// await violates what does not come about.
func (c *Conductor) await(what string, look func() error) error {
	for end := time.Now().Add(calmTime); ; {
		err := look()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			c.violate("calm: %s, after %v: %v", what, calmTime, err)
			return nil
		}
		select {
		case <-c.faults.found:
			return nil
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// silence stops the load, and waits for what is under way.
func (c *Conductor) silence() error {
	c.pauseLoad()
	return c.await("silence", func() error {
		for _, s := range c.streams() {
			if s.waits() {
				return errors.New("questions are not answered")
			}
		}
		return nil
	})
}

// audit has every member count the chunks of its pools.
func (c *Conductor) audit() error {
	members := 0
	for _, r := range c.roles {
		if !r.xdp {
			continue
		}
		members++
	}
	for _, r := range c.roles {
		if !r.xdp {
			continue
		}
		for queue := range c.net.queues {
			if err := c.await("chunks that add up", func() error { return c.auditOf(r, queue, members) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Conductor) auditOf(r *role, queue, members int) error {
	a, err := pool.Ask(c.dir, uint32(r.slot), c.net.ifindex, queue)
	if err != nil {
		return fmt.Errorf("%v: %w", r, err)
	}
	if a == nil {
		return fmt.Errorf("%v has no seat at queue %d", r, queue)
	}
	if a.Census.Missing > kept || a.Census.Twice != 0 || a.Census.InFlight != 0 || len(a.Census.Seats) != members {
		return fmt.Errorf("%v counts, at queue %d with %d members: %v", r, queue, members, a.Census)
	}
	for _, seat := range a.Census.Seats {
		if !seat.Known {
			return fmt.Errorf("%v does not know the socket of slot %d", r, seat.Slot)
		}
	}
	return nil
}

// tally is what there was when last all was quiet: losses that somebody has counted.
type tally struct {
	pid, ifindex int
	counted      uint64
}

// checkLosses wants every question to a witness that was not disturbed to be answered, but for those
// that somebody has counted who had no room for them. Where process or interface are others than when
// last all was quiet, counters are gone with the former.
func (c *Conductor) checkLosses() error {
	for _, r := range c.roles {
		if r.stream == nil || !r.witness {
			continue
		}
		counted, err := c.countedLosses(r)
		if err != nil {
			return err
		}
		before, now := c.tallies[r], tally{r.proc.pid, c.net.ifindex, counted}
		c.tallies[r] = now
		lost := r.stream.takeLost()
		c.lost += len(lost)
		if before.pid == now.pid && before.ifindex == now.ifindex && uint64(len(lost)) > counted-before.counted {
			c.violate("losses: %d questions to %v, which was not disturbed, have no answer; %d are counted as without room; the first at %v",
				len(lost), r, counted-before.counted, lost[0].at.Sub(c.began))
		}
	}
	return nil
}

// countedLosses is how many datagrams to and from a server found no room.
func (c *Conductor) countedLosses(r *role) (uint64, error) {
	n := r.stream.dropped()
	report, err := r.proc.report()
	if err != nil {
		return 0, err
	}
	n += uint64(report.RxDropped)
	drops, err := c.net.Server.UDPDrops(uint16(c.port))
	if err != nil {
		return 0, err
	}
	for _, d := range drops {
		n += uint64(d)
	}
	if !r.xdp {
		return n, nil
	}
	for queue := range c.net.queues {
		a, err := pool.Ask(c.dir, uint32(r.slot), c.net.ifindex, queue)
		if err != nil || a == nil {
			return n, err
		}
		for i, seat := range a.Census.Seats {
			if seat.Slot == r.slot {
				k := &a.Sockets[i].Kernel
				n += k.RXDropped + k.RXRingFull + k.FillEmpty
			}
		}
	}
	return n, nil
}

// checkDescriptors wants a server that lives on to have no more open than when first all was quiet.
func (c *Conductor) checkDescriptors() error {
	for _, r := range c.roles {
		c.objects.look(r.proc.pid)
		if !r.witness {
			continue
		}
		return c.await("descriptors", func() error {
			kinds, err := descriptors(r.proc.pid)
			if err != nil {
				return err
			}
			key := fdKey{r.proc.pid, c.net.ifindex, c.net.queues}
			first, ok := c.baseline[key]
			if !ok {
				c.baseline[key] = kinds
				return nil
			}
			if sum(kinds) > sum(first) {
				return fmt.Errorf("leaked descriptors: %v had %v, and has %v", r, first, kinds)
			}
			return nil
		})
	}
	return nil
}

// fdKey is what the number of descriptors depends on.
type fdKey struct{ pid, ifindex, queues int }

func sum(kinds map[string]int) (n int) {
	for v := range maps.Values(kinds) {
		n += v
	}
	return n
}

// end has all servers end, and looks whether anything is left.
func (c *Conductor) end() error {
	c.note("end")
	c.weather.begin()
	for _, r := range c.roles {
		if c.random.IntN(2) == 0 {
			r.proc.signal(syscall.SIGKILL)
			c.gone(r)
		} else if err := r.proc.quit(); err != nil {
			return fmt.Errorf("%v: %w", r, err)
		}
		r.up.Store(false)
	}
	c.recoveries.work.Wait()
	c.pauseLoad()
	c.checkLeaks()
	return c.checkPort()
}
