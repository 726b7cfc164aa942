// SPDX-License-Identifier: MIT

package pool

import (
	"testing"
	"time"
)

// What the kernel has taken for a packet whose ring is full it keeps for the next packet: nobody
// may give it back: it is in no RX ring, but in the memory of FILL.
func TestKernelKeepsAChunk(t *testing.T) {
	w := newWire(t)
	witness, other := w.act(small), w.act(small)
	w.thread()
	other.feed(small.Ring)
	for deadline := time.Now().Add(limit); ; {
		witness.feed(1)
		other.feed(2)
		time.Sleep(time.Millisecond)
		c, err := witness.Audit(w.right.Index, 0)
		if err != nil {
			t.Fatal(err)
		}
		witness.eat()
		if c.Missing == 1 {
			break
		}
		if c.Missing != 0 || time.Now().After(deadline) {
			t.Fatalf("the kernel has kept %d chunks: %v", c.Missing, c)
		}
	}
	witness.resupply()
	other.eat()
	witness.pass(1)
	wantWhole(t, witness.waitSeats(2), 0)
	witness.die()
	other.die()
}
