// SPDX-License-Identifier: MIT

package torture

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msquicxdp/msquicxdp/rundir"
	"github.com/msquicxdp/msquicxdp/tests/demo"
)

// Options say how to torture. All must be set, but QUICServer and Log.
type Options struct {
	Server     string // the program of the small servers
	QUICServer string // the demo's; "": without QUIC
	Dir        string // an empty directory
	State      string // another, a small file system of its own: for the servers' state
	Length     time.Duration
	Seed       uint64
	Recovery   time.Duration // that 99 of 100 recoveries may take at most
	Log        io.Writer     // told what is done; nil: nobody
}

// Conductor tortures.
type Conductor struct {
	Options
	net     *network
	port    int
	dir     *rundir.Dir
	quic    *demo.Load
	random  *rand.Rand
	roles   []*role
	extras  []*stream // of identifiers that are claimed and released
	weather weather   // what disturbs all
	packets atomic.Int64
	paused  atomic.Bool
	resume  atomic.Int64 // nanoseconds since 1970

	witnessSlot, ifindex atomic.Int64 // for watch

	// What follows belongs to the conductor's thread.
	steps, kills, joins, refusals int
	due                           []deferred
	full                          string // the file that fills the state directory
	orphans                       []int  // children of killed servers
	objects                       objects
	baseline                      map[fdKey]map[string]int // descriptors of witnesses
	tallies                       map[*role]tally
	lost                          int // questions to witnesses, for want of room
	calms                         int

	began      time.Time
	recoveries recoveries
	faults     faults
}

// deferred is what a later step is to do.
type deferred struct {
	step int
	name string
	do   func() error
}

// faults keeps the first violation, and the last actions.
type faults struct {
	mu      sync.Mutex
	first   error
	actions []string
	found   chan struct{}
}

// ErrViolated says that something has happened that must not.
var ErrViolated = errors.New("violated")

// violate says that something has happened that must not. The first one counts.
func (c *Conductor) violate(format string, args ...any) {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	if c.faults.first != nil {
		return
	}
	last := c.faults.actions[max(0, len(c.faults.actions)-shownActions):]
	c.faults.first = fmt.Errorf("%w: %s\nseed %d, after %d steps; the last actions:\n  %s", ErrViolated,
		fmt.Sprintf(format, args...), c.Seed, len(c.faults.actions), strings.Join(last, "\n  "))
	close(c.faults.found)
}

const shownActions = 25

func (c *Conductor) violated() error {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	return c.faults.first
}

// note takes down what is done.
func (c *Conductor) note(format string, args ...any) {
	text := fmt.Sprintf("%8.3f %s", time.Since(c.began).Seconds(), fmt.Sprintf(format, args...))
	c.faults.mu.Lock()
	c.faults.actions = append(c.faults.actions, text)
	c.faults.mu.Unlock()
	if c.Log != nil {
		fmt.Fprintln(c.Log, text)
	}
}

// The cast. Witnesses are the first and the last to come, so that the pool is not theirs.
var cast = []part{
	{id: identifier{0xa0, 1}, xdp: true},
	{id: identifier{0xa0, 2}},
	{id: identifier{0xa0, 3}, xdp: true},
	{id: identifier{0xc0, 1}, xdp: true, quic: true},
	{id: identifier{0xa0, 4}, xdp: true},
	{id: identifier{0xc0, 2}, quic: true},
	{id: identifier{0xb0, 1}, xdp: true, witness: true},
	{id: identifier{0xb0, 2}, witness: true},
}

const (
	rate      = 700 // questions a second to each identifier
	extraRate = 200
	extraIDs  = 4
	parallel  = 2 // QUIC connections to each of the demo's servers
)

// Run tortures, and returns what came of it. Violations are errors that are [ErrViolated].
func Run(o Options) (s *Summary, err error) {
	c := &Conductor{Options: o, port: demo.Port, random: rand.New(rand.NewPCG(o.Seed, 0))}
	c.begin()
	if c.net, err = newNetwork(); err != nil {
		return nil, err
	}
	defer c.net.Close()
	if err := c.open(); err != nil {
		return nil, err
	}
	defer c.dir.Close()
	err = c.play()
	c.recoveries.work.Wait()
	if p99 := c.recoveries.percentile(99); p99 > o.Recovery {
		c.violate("recovery: 1 of 100 took more than %v: %v", o.Recovery, p99)
	}
	return c.summary(), errors.Join(c.violated(), err)
}

func (c *Conductor) begin() {
	c.began = time.Now()
	c.faults.found = make(chan struct{})
	c.objects.init()
	c.baseline = map[fdKey]map[string]int{}
	c.tallies = map[*role]tally{}
	c.witnessSlot.Store(-1)
}

// open makes all that the servers need.
func (c *Conductor) open() (err error) {
	err = c.net.Server.Do(func() (err error) {
		c.dir, err = rundir.Open(c.State)
		return err
	})
	if err != nil {
		return err
	}
	if c.quic, err = demo.NewLoad(c.Dir, c.net.Client); err != nil {
		return err
	}
	for _, p := range cast {
		if !p.quic || c.QUICServer != "" {
			c.roles = append(c.roles, &role{part: p, slot: -1})
		}
	}
	return nil
}

func (c *Conductor) environ() []string {
	return append(os.Environ(),
		"MSQUICXDP_STATE_DIR="+c.State,
		"MSQUICXDP_RESERVATIONS="+filepath.Join(c.Dir, "reservations"))
}

// play has all servers come, tortures, and has them go.
func (c *Conductor) play() error {
	defer c.closeLoad()
	defer c.killAll()
	if err := c.openLoad(); err != nil {
		return err
	}
	for _, r := range c.roles {
		r.weather.begin()
		if err := c.restart(r); err != nil {
			return err
		}
	}
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { c.watch(stop) })
	err := c.torture()
	if err == nil {
		err = c.calm()
	}
	close(stop)
	watching.Wait()
	if err != nil || c.violated() != nil {
		return err
	}
	return c.end()
}

func (c *Conductor) openLoad() (err error) {
	for _, r := range c.roles {
		if r.quic {
			r.exchanges = c.newExchanges(r, parallel)
		} else if r.stream, err = c.newStream(r.id, rate); err != nil {
			return err
		}
	}
	for i := range extraIDs {
		s, err := c.newStream(identifier{0xe0, byte(i)}, extraRate)
		if err != nil {
			return err
		}
		c.extras = append(c.extras, s)
	}
	c.resumeLoad()
	return nil
}

func (c *Conductor) closeLoad() {
	for _, r := range c.roles {
		if r.exchanges != nil {
			r.exchanges.close()
		}
	}
	for _, s := range c.streams() {
		s.close()
	}
}

func (c *Conductor) streams() (all []*stream) {
	for _, r := range c.roles {
		if r.stream != nil {
			all = append(all, r.stream)
		}
	}
	return append(all, c.extras...)
}

func (c *Conductor) pauseLoad() {
	c.paused.Store(true)
	for _, s := range c.streams() {
		s.pause.Store(true)
	}
}

func (c *Conductor) resumeLoad() {
	c.resume.Store(time.Now().UnixNano())
	c.paused.Store(false)
	for _, s := range c.streams() {
		s.pause.Store(false)
	}
}

// resumed is when the load began, or began again.
func (c *Conductor) resumed() time.Time { return time.Unix(0, c.resume.Load()) }

func (c *Conductor) killAll() {
	for _, r := range c.roles {
		if r.proc != nil {
			c.gone(r)
		}
	}
}

// torture acts until the time is over.
func (c *Conductor) torture() error {
	for end := time.Now().Add(c.Length); time.Now().Before(end) && c.violated() == nil; c.steps++ {
		if err := c.doDue(c.steps); err != nil {
			return err
		}
		if c.steps%calmEvery == calmEvery-1 {
			if err := c.calm(); err != nil {
				return err
			}
		}
		if err := c.act(); err != nil {
			return err
		}
	}
	return nil
}

// doDue does what has been left to this step, or an earlier one.
func (c *Conductor) doDue(step int) error {
	var now []deferred
	c.due = slices.DeleteFunc(c.due, func(d deferred) bool {
		if d.step <= step {
			now = append(now, d)
		}
		return d.step <= step
	})
	for _, d := range now {
		c.note("%s", d.name)
		if err := d.do(); err != nil {
			return err
		}
	}
	return nil
}

// later leaves something to a later step.
func (c *Conductor) later(steps int, name string, do func() error) {
	c.due = append(c.due, deferred{c.steps + steps, name, do})
}
