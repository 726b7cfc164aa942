// SPDX-License-Identifier: MIT

package pool

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/killpoint"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// victimEnv makes the test program play a member that is killed: it holds a plot.
const victimEnv = "POOL_TEST_VICTIM"

// plot is what a victim does when it is killed.
type plot struct {
	Base    string
	Ifindex int
	Act     string
}

// victim plays a member. It says its slot, and waits to be told when there are packets.
type victim struct {
	plot
	*Member
	*Queue
	lines *bufio.Scanner
}

// acts are what a victim can be killed in: what comes before it is killed, and then.
var acts = map[string]struct{ before, in func(*victim) error }{
	"stay":    {nil, (*victim).stay},
	"turn":    {(*victim).ready, followed((*victim).turn)},
	"send":    {(*victim).ready, followed((*victim).dispatch)},
	"recover": {(*victim).heir, (*victim).inheritAll},
}

func victimMain() {
	runtime.LockOSThread()
	v := &victim{lines: bufio.NewScanner(os.Stdin)}
	err := json.Unmarshal([]byte(os.Getenv(victimEnv)), &v.plot)
	act := acts[v.Act]
	if err == nil && act.before != nil {
		err = act.before(v)
	}
	if err == nil {
		err = act.in(v)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// followed is an act in which every change is a point.
func followed(act func(*victim) error) func(*victim) error {
	return func(v *victim) error {
		killpoint.Watch()
		defer killpoint.Unwatch()
		return act(v)
	}
}

func (v *victim) open() error {
	dir, err := rundir.Open(v.Base)
	if err == nil {
		v.Member, err = Open(dir, testKernel{link.XDPDriverMode})
	}
	return err
}

func (v *victim) join() (err error) {
	v.Queue, err = v.Member.Join(v.Ifindex, 0, small)
	return err
}

// await says the slot, and waits for the test.
func (v *victim) await() {
	fmt.Println(v.Member.slot)
	v.lines.Scan()
}

func (v *victim) ready() error {
	if err := errors.Join(v.open(), v.join()); err != nil {
		return err
	}
	v.await()
	return nil
}

func (v *victim) turn() error {
	if v.Peek(5) != 5 {
		return errors.New("too few packets")
	}
	v.Release()
	return nil
}

// dispatch sends more than once around what is reaped.
func (v *victim) dispatch() error {
	for range 3 {
		if n := v.Reserve(3); n != 3 {
			return fmt.Errorf("room for %d packets", n)
		}
		out := make([]Outgoing, 3)
		for i := range out {
			out[i].Length = uint32(copy(v.Frame(i), packet(nobody, 1, 100)))
		}
		v.Submit(out)
		if err := v.Kick(); err != nil {
			return err
		}
	}
	v.Reserve(1)
	return nil
}

func (v *victim) depart() error { return errors.Join(v.Leave(), v.Member.Close()) }

// stay is the whole life of a member, in which every system call is a point.
func (v *victim) stay() error {
	killpoint.Begin()
	defer killpoint.End()
	if err := errors.Join(v.open(), v.join()); err != nil {
		return err
	}
	if err := v.dispatch(); err != nil {
		return err
	}
	return v.depart()
}

// heir keeps this member from cleaning up until it is asked to.
func (v *victim) heir() error {
	if err := errors.Join(v.open(), v.join()); err != nil {
		return err
	}
	v.reviewing.Lock()
	v.await()
	return nil
}

// inheritAll cleans up after the dead, as cleanUp does.
func (v *victim) inheritAll() error {
	defer v.reviewing.Unlock()
	for deadline := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		if dead := v.inherit(); len(dead) > 0 {
			killpoint.Begin()
			defer killpoint.End()
			killpoint.Watch()
			defer killpoint.Unwatch()
			v.recover(dead, time.Now())
			v.announce()
			v.forget()
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("nobody has died")
		}
	}
}

// trace runs a victim in a namespace, and calls told with its slot, and lets it go on, when it is ready.
func (w *wire) trace(act string, n int, watched func() bool, told func(slot uint32)) (o killpoint.Outcome, err error) {
	w.Helper()
	text, err := json.Marshal(plot{w.base, w.right.Index, act})
	if err != nil {
		return o, err
	}
	in, orders, err := os.Pipe()
	if err != nil {
		return o, err
	}
	said, out, err := os.Pipe()
	if err != nil {
		return o, err
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), victimEnv+"="+string(text), "GODEBUG=asyncpreemptoff=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	done := make(chan struct{})
	go func() {
		defer close(done)
		var slot uint32
		if _, err := fmt.Fscan(said, &slot); err == nil {
			told(slot)
			fmt.Fprintln(orders)
		}
	}()
	w.in(func() (err error) {
		o, err = killpoint.Run(cmd, n, watched)
		return err
	})
	in.Close()
	out.Close()
	<-done
	said.Close()
	orders.Close()
	return o, err
}

// overlook makes a function that reports whether shared memory has changed since its last call: what this
// member sees of the pool, and the RX rings of the others.
func (a *actor) overlook() func() bool {
	completion, err := unix.Mmap(a.FD(), unix.XDP_UMEM_PGOFF_COMPLETION_RING, 4096, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		a.w.Fatal(err)
	}
	a.w.Cleanup(func() { _ = unix.Munmap(completion) })
	seen := map[*byte][]byte{}
	differs := func(now []byte) bool {
		if before := seen[&now[0]]; bytes.Equal(before, now) {
			return false
		}
		seen[&now[0]] = bytes.Clone(now)
		return true
	}
	taken := map[tenure]uint32{}
	return func() (changed bool) {
		for _, memory := range [][]byte{a.control.bytes, a.trail.memory, completion} {
			changed = differs(memory) || changed
		}
		a.Queue.mu.Lock()
		defer a.Queue.mu.Unlock()
		for _, s := range a.Queue.others {
			if now := s.trail.taken(); now != taken[s.tenure] {
				taken[s.tenure], changed = now, true
			}
		}
		return changed
	}
}

// A member is killed at every system call of its life, with others in the pool, and alone. The others lose
// nothing; who comes after it alone gets a new pool.
func TestKilledAtEverySystemCall(t *testing.T) {
	w := newWire(t)
	for name, alone := range map[string]bool{"beside others": false, "alone": true} {
		t.Run(name, func(t *testing.T) {
			w.TB = t
			netnstest.CheckFDs(t)
			var witness *actor
			if !alone {
				witness = w.act(small)
			}
			killpoint.Each(t, 29, func(n int) (killpoint.Outcome, error) {
				return w.trace("stay", n, nil, nil)
			}, func(killpoint.Outcome) {
				if alone {
					witness = w.act(small)
				}
				witness.pass(10)
				wantWhole(t, witness.waitSeats(1), 0)
				if alone {
					witness.die()
				}
			})
			if !alone {
				w.everySeatSends(witness)
				witness.die()
			}
		})
	}
}

// everySeatSends wants that nothing of the dead is in flight for good.
func (w *wire) everySeatSends(witness *actor) {
	w.Helper()
	all := []*actor{witness}
	for range small.Members - 1 {
		all = append(all, w.act(small))
	}
	time.Sleep(time.Until(all[len(all)-1].until))
	for _, a := range all {
		for range 2 * small.Send / MaxTurn {
			if n := a.Reserve(MaxTurn); n != MaxTurn {
				w.Errorf("seat %d has room for %d packets", a.number, n)
			}
			packets := make([][]byte, MaxTurn)
			for i := range packets {
				packets[i] = packet(nobody, uint64(i), 100)
			}
			if err := a.put(packets...); err != nil {
				w.Error(err)
			}
			a.flush()
		}
	}
	for _, a := range all[1:] {
		a.die()
	}
	if c := witness.waitSeats(1); c.InFlight != 0 {
		w.Errorf("%v", c)
	}
}

// A member is killed after every change that it makes to memory that it shares. Where there is a system call
// between two changes, as in joining and leaving, to be killed there is the same.
func TestKilledAtEveryChange(t *testing.T) {
	killpoint.NeedsPlainBuild(t)
	w := newWire(t)
	for _, act := range []string{"turn", "send"} {
		t.Run(act, func(t *testing.T) {
			w.TB = t
			netnstest.CheckFDs(t)
			witness := w.act(small)
			killpoint.Each(t, 6, func(n int) (killpoint.Outcome, error) {
				return w.trace(act, n, witness.overlook(), func(slot uint32) {
					for i := range uint64(9) {
						w.send(packet(slot, i, 100))
					}
				})
			}, func(killpoint.Outcome) {
				wantWhole(t, witness.waitSeats(1), 0)
				witness.pass(10)
			})
			w.everySeatSends(witness)
			witness.die()
		})
	}
}

// Who cleans up after a dead member is killed, after every change and at every system call: the next one
// goes on.
func TestKilledWhileCleaningUp(t *testing.T) {
	killpoint.NeedsPlainBuild(t)
	w := newWire(t)
	witness := w.act(small)
	killpoint.Each(t, 9, func(n int) (killpoint.Outcome, error) {
		a := w.act(small)
		a.feed(20)
		a.stopAt(afterPush)
		a.Peek(10)
		go a.Release()
		<-a.met
		died := false
		o, err := w.trace("recover", n, witness.overlook(), func(slot uint32) {
			for i := range uint64(9) {
				w.send(packet(slot, i, 100))
			}
			witness.reviewing.Lock() // so that the victim does it
			a.die()
			died = true
		})
		if died {
			witness.reviewing.Unlock()
		}
		return o, err
	}, func(killpoint.Outcome) {
		wantWhole(t, witness.waitSeats(1), 0)
		witness.pass(10)
	})
	witness.die()
}
