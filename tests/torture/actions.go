// SPDX-License-Identifier: MIT

package torture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// action is something that is done to the servers. What it does depends on the seed and on what
// was done before, and not on what came of it.
type action struct {
	name   string
	weight int
	do     func(*Conductor) error
}

var actions = []action{
	{"kill", 30, (*Conductor).actKill},
	{"kill several", 14, (*Conductor).actKillSeveral},
	{"kill who starts", 6, (*Conductor).actKillStarting},
	{"stop", 12, (*Conductor).actStop},
	{"leave and join", 10, (*Conductor).actLeave},
	{"fork", 4, (*Conductor).actFork},
	{"claim", 8, (*Conductor).actClaim},
	{"release", 6, (*Conductor).actRelease},
	{"claim what is taken", 3, (*Conductor).actConflict},
	{"foreign socket", 4, (*Conductor).actForeign},
	{"foreign server", 1, (*Conductor).actForeignServer},
	{"address", 3, (*Conductor).actAddress},
	{"link", 1, (*Conductor).actLink},
	{"channels", 1, (*Conductor).actChannels},
	{"replace", 1, (*Conductor).actReplace},
	{"kill all", 1, (*Conductor).actKillAll},
	{"fill table", 3, (*Conductor).actFillTable},
	{"fill disk", 2, (*Conductor).actFillDisk},
	{"pause", 12, (*Conductor).actPause},
}

// act chooses an action, and does it.
func (c *Conductor) act() error {
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	n := c.random.IntN(total)
	for _, a := range actions {
		if n -= a.weight; n < 0 {
			if err := a.do(c); err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
			return nil
		}
	}
	return nil
}

// someone chooses among those who may be hurt, and wants something of them.
func (c *Conductor) someone(good func(*role) bool) *role {
	var list []*role
	for _, r := range c.roles {
		if !r.witness && good(r) {
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[c.random.IntN(len(list))]
}

func anyone(*role) bool { return true }

// awake can be told to do something.
func awake(r *role) bool { return !r.stopped && !r.quic }

func (c *Conductor) moment(most time.Duration) time.Duration {
	return time.Duration(c.random.Int64N(int64(most)))
}

// ---- who comes and goes ----

func (c *Conductor) actKill() error {
	r := c.someone(anyone)
	c.note("kill %v", r)
	c.kill(r)
	return c.restart(r)
}

// restartAll starts some at the same time.
func (c *Conductor) restartAll(roles []*role) error {
	for _, r := range roles {
		if err := c.launch(r); err != nil {
			return err
		}
	}
	for _, r := range roles {
		if err := c.ready(r); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conductor) actKillSeveral() error {
	var some []*role
	for _, r := range c.roles {
		if !r.witness && c.random.IntN(2) == 0 {
			some = append(some, r)
		}
	}
	c.random.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	c.note("kill %v", some)
	for _, r := range some {
		r.weather.begin()
		r.proc.signal(syscall.SIGKILL)
	}
	for _, r := range some {
		c.kill(r)
	}
	return c.restartAll(some)
}

func (c *Conductor) actKillStarting() error {
	r, n := c.someone(anyone), 1+c.random.IntN(3)
	c.note("kill %v, and %d times while it starts", r, n)
	c.kill(r)
	for range n {
		if err := c.launch(r); err != nil {
			return err
		}
		time.Sleep(c.moment(60 * time.Millisecond))
		c.kill(r)
	}
	return c.restart(r)
}

func (c *Conductor) actKillAll() error {
	c.note("kill all")
	c.weather.begin()
	for _, r := range c.roles {
		r.proc.signal(syscall.SIGKILL)
	}
	for _, r := range c.roles {
		r.slot = -1 // nobody is left to recover
		c.kill(r)
	}
	all := append([]*role(nil), c.roles...)
	c.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	err := c.restartAll(all)
	c.weather.end()
	return err
}

func (c *Conductor) actStop() error {
	r := c.someone(func(r *role) bool { return !r.stopped })
	if r == nil {
		return nil
	}
	steps, kill := 1+c.random.IntN(8), c.random.IntN(3) == 0
	c.note("stop %v for %d steps", r, steps)
	r.weather.begin()
	r.up.Store(false)
	r.proc.signal(syscall.SIGSTOP)
	r.stopped = true
	p := r.proc
	c.later(steps, fmt.Sprintf("continue %v, kill: %v", r, kill), func() error {
		if r.proc != p {
			return nil // killed meanwhile
		}
		if kill {
			c.kill(r)
			return c.restart(r)
		}
		r.stopped = false
		p.signal(syscall.SIGCONT)
		r.up.Store(true)
		r.weather.end()
		return nil
	})
	return nil
}

func (c *Conductor) actLeave() error {
	// Without descriptors the servers cannot even count them.
	r, pause := c.someone(func(r *role) bool { return awake(r) && !r.limited }), c.moment(30*time.Millisecond)
	if r == nil {
		return nil
	}
	c.note("%v leaves and joins", r)
	r.weather.begin()
	r.up.Store(false)
	if err := c.leave(r); err != nil {
		return err
	}
	time.Sleep(pause)
	return c.join(r)
}

// leave has a server close all, and wants nothing to be left open.
func (c *Conductor) leave(r *role) error {
	text, err := r.proc.do("leave")
	if err != nil {
		return err
	}
	c.disown(r)
	if more, err := strconv.Atoi(text); err != nil || more != 0 {
		kinds, _ := descriptors(r.proc.pid)
		c.violate("leaked descriptors: %v has %s more open after it has left: %v", r, text, kinds)
	}
	return nil
}

// join has a server that has left open all again.
func (c *Conductor) join(r *role) error {
	r.stream.own(r.proc.pid, &r.weather)
	for begin := time.Now(); ; {
		_, err := r.proc.do("join")
		if err == nil {
			break
		}
		if refused := refusal(""); !errors.As(err, &refused) {
			return err
		}
		c.refusals++
		if c.full != "" { // it cannot: a new one is to try when it can
			c.later(1, fmt.Sprintf("kill %v, who could not join: %v", r, err), func() error {
				if r.up.Load() {
					return nil
				}
				c.kill(r)
				return c.restart(r)
			})
			return nil
		}
		if time.Since(begin) > patience {
			return fmt.Errorf("%v cannot join again, for %v: %w: %s", r, time.Since(begin), err, &r.proc.said)
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.joins++
	c.served(r)
	return nil
}

func (c *Conductor) actFork() error {
	r := c.someone(func(r *role) bool { return awake(r) && !r.child && !r.limited })
	if r == nil {
		return nil
	}
	steps := 1 + c.random.IntN(10)
	c.note("fork in %v, for %d steps", r, steps)
	text, err := r.proc.do("fork")
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	c.orphans = append(c.orphans, pid)
	r.child = true
	p := r.proc
	c.later(steps, fmt.Sprintf("end the child of %v", r), func() error {
		if r.proc != p {
			return nil
		}
		r.child = false
		if r.stopped {
			p.signal(syscall.SIGCONT)
			defer p.signal(syscall.SIGSTOP)
		}
		_, err := p.do("reap")
		return err
	})
	return nil
}

// ---- identifiers ----

// holder returns who has an extra identifier.
func (c *Conductor) holder(id identifier) *role {
	for _, r := range c.roles {
		for _, claim := range r.claims {
			if claim == id {
				return r
			}
		}
	}
	return nil
}

func (c *Conductor) actClaim() error {
	r, s := c.someone(awake), c.extras[c.random.IntN(len(c.extras))]
	if r == nil || c.holder(s.id) != nil || !r.serves() {
		return nil
	}
	c.note("%v claims %v", r, s.id)
	s.own(r.proc.pid, &r.weather)
	_, err := r.proc.do("claim " + s.id.String())
	if refused := refusal(""); errors.As(err, &refused) {
		s.disown(r.proc.pid)
		c.refusals++
		if r.limited || c.full != "" || c.dying() {
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	r.claims = append(r.claims, s.id)
	s.settle(r.proc.pid)
	return nil
}

// dying reports whether children of killed servers are still there, and what they have.
func (c *Conductor) dying() bool {
	for _, pid := range c.orphans {
		if exists(pid) {
			return true
		}
	}
	return false
}

func (c *Conductor) actRelease() error {
	s := c.extras[c.random.IntN(len(c.extras))]
	r := c.holder(s.id)
	if r == nil || r.stopped {
		return nil
	}
	c.note("%v releases %v", r, s.id)
	return c.release(r, s)
}

// release has a server give up an extra identifier. Until it says so it may answer.
func (c *Conductor) release(r *role, s *stream) error {
	_, err := r.proc.do("release " + s.id.String())
	s.disown(r.proc.pid)
	r.claims = slices.DeleteFunc(r.claims, func(id identifier) bool { return id == s.id })
	return err
}

// actConflict has a server claim what a witness has.
func (c *Conductor) actConflict() error {
	r := c.someone(awake)
	if r == nil || !r.serves() {
		return nil
	}
	taken := c.roles[len(c.roles)-1-c.random.IntN(2)]
	c.note("%v claims %v, which is taken", r, taken.id)
	_, err := r.proc.do("claim " + taken.id.String())
	if err == nil {
		c.violate("%v was granted the identifier of %v", r, taken)
		return nil
	}
	if refused := refusal(""); errors.As(err, &refused) {
		return nil
	}
	return err
}

// ---- strangers ----

// actForeign has programs that know nothing of us try the port.
func (c *Conductor) actForeign() error {
	reuse := c.random.IntN(2)
	c.note("a foreign socket, reuse %d", reuse)
	return c.net.Server.Do(func() error {
		for _, domain := range []int{unix.AF_INET, unix.AF_INET6} {
			err := bind(domain, c.port, reuse)
			if err == nil {
				c.violate("stolen port: a foreign socket (domain %d, reuse %d) got port %d", domain, reuse, c.port)
			} else if !errors.Is(err, unix.EADDRINUSE) {
				return err
			}
		}
		return nil
	})
}

func bind(domain, port, reuse int) error {
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, reuse); err != nil {
		return err
	}
	if domain == unix.AF_INET {
		return unix.Bind(fd, &unix.SockaddrInet4{Port: port})
	}
	return unix.Bind(fd, &unix.SockaddrInet6{Port: port})
}

// actForeignServer has a server without an identifier ask for the port.
func (c *Conductor) actForeignServer() error {
	xdp := "kernel"
	if c.random.IntN(2) == 0 {
		xdp = "xdp"
	}
	c.note("a server (%s) that wants the port for itself", xdp)
	p, err := launch(c.net.Server, c.environ(), c.Server, fmt.Sprint(c.port), "1", xdp, "-")
	if err != nil {
		return err
	}
	defer p.kill()
	_, err = p.answer()
	if err == nil {
		c.violate("stolen port: a server without an identifier got it")
	}
	if refused := refusal(""); err != nil && !errors.As(err, &refused) {
		return err
	}
	return nil
}

// ---- the interface ----

func (c *Conductor) actAddress() error {
	extra, pause := c.random.IntN(3) > 0, c.moment(200*time.Millisecond)
	if !extra {
		v := c.random.IntN(2)
		c.note("remove %v for %v", serverAddrs[v], pause)
		c.weather.begin()
		defer c.weather.end()
		if err := c.net.deleteAddress(serverAddrs[v]); err != nil {
			return err
		}
		time.Sleep(pause)
		return c.net.addAddress(serverAddrs[v])
	}
	c.note("use %v for %v", extraAddr, pause)
	if err := c.net.addAddress(extraAddr); err != nil {
		return err
	}
	for _, s := range c.streams() {
		s.extra.Store(true)
	}
	time.Sleep(pause)
	for _, s := range c.streams() {
		s.extra.Store(false)
	}
	c.weather.begin()
	defer c.weather.end()
	return c.net.deleteAddress(extraAddr)
}

func (c *Conductor) actLink() error {
	pause := c.moment(100 * time.Millisecond)
	c.note("link down for %v", pause)
	c.weather.begin()
	defer c.weather.end()
	if err := c.net.down(); err != nil {
		return err
	}
	time.Sleep(pause)
	return c.net.up()
}

// actChannels changes how many queues the interface has. The kernel takes none away that is used.
func (c *Conductor) actChannels() error {
	count := 1 + c.random.IntN(maxQueues)
	c.note("%d channels", count)
	c.weather.begin()
	defer c.weather.end()
	err := c.net.setQueues(count)
	if errors.Is(err, unix.EINVAL) && count < maxQueues {
		return nil
	}
	return err
}

func (c *Conductor) actReplace() error {
	c.note("replace the interface")
	c.weather.begin()
	defer c.weather.end()
	err := c.net.replace()
	c.ifindex.Store(int64(c.net.ifindex))
	return err
}

// ---- want ----

// actFillTable forbids a server to open anything more.
func (c *Conductor) actFillTable() error {
	r := c.someone(func(r *role) bool { return !r.limited && !r.stopped })
	if r == nil {
		return nil
	}
	steps := 1 + c.random.IntN(6)
	c.note("no descriptors for %v, for %d steps", r, steps)
	if err := limitDescriptors(r.proc.pid, 3); err != nil {
		return err
	}
	r.limited = true
	p := r.proc
	c.later(steps, fmt.Sprintf("descriptors for %v", r), func() error {
		if r.proc != p {
			return nil
		}
		r.limited = false
		return limitDescriptors(p.pid, maxDescriptors)
	})
	return nil
}

// actFillDisk fills the file system of the state directory.
func (c *Conductor) actFillDisk() error {
	if c.full != "" {
		return nil
	}
	steps := 1 + c.random.IntN(6)
	c.note("fill the file system for %d steps", steps)
	c.full = filepath.Join(c.State, "full")
	f, err := os.Create(c.full)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, zeroes{})
	f.Close()
	if !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("fill %s: %w", c.full, err)
	}
	c.later(steps, "room in the file system", func() error {
		err := os.Remove(c.full)
		c.full = ""
		return err
	})
	return nil
}

type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) { return len(b), nil }

func (c *Conductor) actPause() error {
	pause := c.moment(40 * time.Millisecond)
	c.note("pause %v", pause)
	time.Sleep(pause)
	return nil
}
