// SPDX-License-Identifier: MIT

package pool

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// stoppedEnv says how long a member is stopped, as time.ParseDuration reads it: longer than anybody's patience, if it
// says nothing.
const stoppedEnv = "MSQUICXDP_TEST_STOPPED"

// One is stopped under load for long, while others come, leave and die. Who serves loses nothing by that; and the stopped one goes
// on where it was, without what its ring had no room for.
func TestStoppedForLong(t *testing.T) {
	w := newWire(t)
	length := 3 * time.Second
	if text := os.Getenv(stoppedEnv); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	witness, stopped, other := w.spawn(job{}), w.spawn(job{}), w.spawn(job{})
	all := func() []uint32 { return slotsOf([]*child{witness, stopped, other}) }
	s := w.stream(10000)
	s.to(all())
	w.receives(stopped)
	stopped.signal(syscall.SIGSTOP)
	comings := 0
	for end := time.Now().Add(length); time.Now().Before(end); comings++ {
		w.receives(other)
		w.receives(witness)
		if comings%2 == 0 {
			other.kill()
		} else {
			other.end()
		}
		other = w.spawn(job{})
		s.to(all())
		time.Sleep(length / 20)
	}
	stopped.signal(syscall.SIGCONT)
	for deadline := time.Now().Add(limit); stopped.do("stat").Missed == 0; time.Sleep(time.Millisecond) { // it empties its ring first
		if time.Now().After(deadline) {
			t.Fatalf("it was not stopped: %+v", stopped.do("stat"))
		}
	}
	s.end()
	for _, c := range []*child{witness, stopped, other} {
		w.waitWhole(c, 3)
		for deadline := time.Now().Add(limit); c.do("stat").Last != s.numbers[c.slot] && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		r := c.do("stat")
		if r.Last != s.numbers[c.slot] || r.Missed != r.Kernel.RXRingFull || r.Wrong+r.Behind != 0 || r.Kernel.FillEmpty != 0 {
			t.Errorf("slot %d: %+v, want packet %d last", c.slot, r, s.numbers[c.slot])
		}
	}
	if r := witness.do("stat"); r.Missed != 0 {
		t.Logf("the witness had no room for %d", r.Missed) // on a machine that is very busy
	}
	t.Logf("stopped for %v, while %d came", length, comings)
	for _, c := range []*child{witness, stopped, other} {
		c.end()
	}
}
