// SPDX-License-Identifier: MIT

package torture

import (
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

const (
	watchInterval = 100 * time.Millisecond
	hunger        = 5 * time.Second // without an answer is to starve
	wait          = 3 * time.Second // for frames that are nowhere
)

// watch looks at what must always hold.
func (c *Conductor) watch(stop chan struct{}) {
	complete := time.Now()
	for {
		select {
		case <-stop:
			return
		case <-time.After(watchInterval):
		}
		for _, s := range c.streams() {
			if d := s.starving(); d > hunger {
				c.violate("starved: identifier %v has had no answer for %v", s.id, d)
			}
		}
		if c.framesAddUp() {
			complete = time.Now()
		} else if time.Since(complete) > wait {
			c.violate("frames: the chunks of the pool have not added up for %v", time.Since(complete))
		}
	}
}

// kept is how many chunks of a pool the kernel may have nowhere: after it has found an RX ring full it
// keeps one for the next packet.
const kept = 1

// framesAddUp asks the witness. While packets come this need not be so at every moment.
func (c *Conductor) framesAddUp() bool {
	slot := c.witnessSlot.Load()
	if slot < 0 || !c.weather.clear(time.Now(), time.Now()) {
		return true
	}
	a, err := pool.Ask(c.dir, uint32(slot), int(c.ifindex.Load()), 0)
	if err != nil || a == nil {
		return true
	}
	return a.Census.Missing <= kept
}
