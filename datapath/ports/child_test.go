// SPDX-License-Identifier: MIT

package ports

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// A test that needs another process runs this program again, as a child of that
// name. It takes orders on its standard input and reports on its standard output,
// and answers every datagram with its name and the datagram.
const childEnv = "MSQUICXDP_TEST_CHILD"

// order is what a child is told to do.
type order struct {
	Do      string // acquire, release, count
	ID      int    // acquire: 0 is none
	Port    int    // acquire: 0 is number
	AnyPort bool   // acquire
	Sockets int    // acquire: 0 is 2
	Local   string // acquire: the address, [::] if it is empty

	// At the nth socket from now on, of the listener or of newcomers, the child
	// stops or kills itself.
	StopAt, DieAt int
}

// report is the answer.
type report struct {
	Err       string
	Errno     int
	Reason    string // of a refusal by the rules
	Addr      netip.AddrPort
	Tier      rules.Tier
	Shared    bool
	Shortfall string
	FDs       int // that are open
	Clock     time.Duration
	Misrouted int // datagrams that it got and that are not for it
}

// server is a child from within.
type server struct {
	name  string
	lease *Lease
	id    int

	mu            sync.Mutex
	stopAt, dieAt int
	misrouted     int
	sockets       []int
	serving       sync.WaitGroup
	leaving       atomic.Bool
}

func childMain(name string) int {
	s := &server{name: name}
	if err := netnstest.StartPoller(); err != nil {
		fmt.Fprintln(os.Stderr, name, err)
		return 1
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if in.Decode(&o) != nil {
			s.release()
			return 0
		}
		if err := out.Encode(s.obey(o)); err != nil {
			fmt.Fprintln(os.Stderr, name, err)
			return 1
		}
	}
}

func (s *server) obey(o order) (r report) {
	s.mu.Lock()
	s.stopAt, s.dieAt = o.StopAt, o.DieAt
	s.mu.Unlock()
	switch o.Do {
	case "acquire":
		return s.acquire(o)
	case "release":
		s.release()
	}
	open, err := netnstest.OpenFDs()
	if err != nil {
		r.Err = err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.FDs, r.Misrouted, r.Clock = len(open), s.misrouted, netnstest.Clock()
	return r
}

func (s *server) acquire(o order) (r report) {
	request := member(o.ID)
	request.New = s.newSocket
	addr, port := request.Addr.Addr(), request.Addr.Port()
	if o.Local != "" {
		addr = netip.MustParseAddr(o.Local)
	}
	if o.Port != 0 {
		port = uint16(o.Port)
	}
	if o.AnyPort {
		port = 0
	}
	request.Addr = netip.AddrPortFrom(addr, port)
	if o.Sockets != 0 {
		request.Sockets = o.Sockets
	}
	lease, err := Acquire(request)
	if err != nil {
		r.Err, r.Errno = err.Error(), int(kerr.Errno(err))
		if refused, ok := errors.AsType[*portres.Refused](err); ok {
			r.Reason = refused.Decision.Reason.String()
		}
		return r
	}
	s.lease, s.id = lease, o.ID
	s.serve(lease.TakeSockets())
	r.Addr, r.Tier, r.Shared = lease.Addr(), lease.Tier(), lease.Shared()
	if why := lease.Shortfall(); why != nil {
		r.Shortfall = why.Error()
	}
	return r
}

func (s *server) newSocket() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopAt--
	s.dieAt--
	if s.stopAt == 0 { // this thread, before anything else
		runtime.LockOSThread()
		unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP)
		runtime.UnlockOSThread()
	}
	if s.dieAt == 0 {
		unix.Kill(unix.Getpid(), unix.SIGKILL)
	}
	return newSocket()
}

// serve answers what comes to the sockets until release.
func (s *server) serve(fds []int) {
	s.sockets = fds
	s.leaving.Store(false)
	for _, fd := range fds {
		s.serving.Go(func() {
			b := make([]byte, 1<<16)
			for {
				unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
				n, from, err := unix.Recvfrom(fd, b, 0)
				if err != nil {
					if s.leaving.Load() {
						return
					}
					continue
				}
				if id, _ := nine.Find(b[:n]); s.id != 0 && id != idOf(s.id) {
					s.mu.Lock()
					s.misrouted++
					s.mu.Unlock()
				}
				unix.Sendto(fd, append([]byte(s.name+" "), b[:n]...), 0, from)
			}
		})
	}
}

func (s *server) release() {
	s.leaving.Store(true)
	for _, fd := range s.sockets {
		unix.Shutdown(fd, unix.SHUT_RD) // wakes who waits for it, whatever it returns
	}
	s.serving.Wait()
	descriptors.CloseAll(s.sockets)
	s.sockets = nil
	if s.lease != nil {
		s.lease.Release()
	}
	s.lease = nil
}

// child is a child from without.
type child struct {
	r      *room
	name   string
	cmd    *exec.Cmd
	in     *json.Encoder
	out    *json.Decoder
	ended  bool
	orders *os.File
}

// who says as whom a child runs.
type who struct {
	uid    uint32
	groups []uint32
	lacks  []uintptr // capabilities
	env    []string
	ahead  time.Duration // its clocks, of ours
}

// start starts a child. It is killed with the test.
func (r *room) start(name string, as who) *child {
	r.Helper()
	theirs, orders, err := os.Pipe()
	r.must(err)
	defer theirs.Close()
	reports, out, err := os.Pipe()
	r.must(err)
	defer out.Close()
	c := &child{r: r, name: name, cmd: exec.Command("/proc/self/exe"), orders: orders} // another user may not reach its path
	c.cmd.Env = append(append(append(os.Environ(), r.env...), as.env...), childEnv+"="+name, "GORACE=atexit_sleep_ms=0")
	c.cmd.Dir = "/"
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = theirs, out, os.Stderr
	if as.ahead != 0 {
		c.cmd.Path = os.Args[0]
		netnstest.SetClocks(r, c.cmd, as.ahead)
	}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: as.uid, Gid: as.uid, Groups: as.groups}}
	c.in, c.out = json.NewEncoder(orders), json.NewDecoder(bufio.NewReader(reports))
	r.ns.Do(r, func() error {
		for _, capability := range as.lacks { // of this thread, which ends
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
				return err
			}
		}
		return c.cmd.Start()
	})
	r.Cleanup(func() {
		c.end()
		orders.Close()
		reports.Close()
	})
	return c
}

// tell gives an order without waiting for the report.
func (c *child) tell(o order) {
	c.r.Helper()
	c.r.must(c.in.Encode(o))
}

// hear waits for the report.
func (c *child) hear() (r report, err error) {
	timer := time.AfterFunc(limit, c.kill)
	defer timer.Stop()
	err = c.out.Decode(&r)
	return r, err
}

func (c *child) do(o order) report {
	c.r.Helper()
	c.tell(o)
	r, err := c.hear()
	if err != nil {
		c.r.Fatalf("%s: %s: %v", c.name, o.Do, err)
	}
	return r
}

// acquire tells a child to get the port, which must succeed.
func (c *child) acquire(id int) report {
	c.r.Helper()
	return c.mustDo(order{Do: "acquire", ID: id})
}

func (c *child) mustDo(o order) report {
	c.r.Helper()
	r := c.do(o)
	if r.Err != "" {
		c.r.Fatalf("%s: %s: %s", c.name, o.Do, r.Err)
	}
	return r
}

// wantRefused tells a child to get the port, which must fail in these words.
func (c *child) wantRefused(o order, errno unix.Errno, words ...string) report {
	c.r.Helper()
	o.Do = "acquire"
	r := c.do(o)
	if r.Err == "" || r.Errno != int(errno) {
		c.r.Errorf("%s: %q (errno %d), want errno %d", c.name, r.Err, r.Errno, errno)
	}
	wantWords(c.r, r.Err, words...)
	return r
}

// kill ends the process as kill -9 does.
func (c *child) kill() { c.cmd.Process.Kill() }

// killed kills the process and waits until it is gone.
func (c *child) killed() {
	if !c.ended {
		c.ended = true
		c.kill()
		c.cmd.Wait()
	}
}

// end lets the process release what it has, and end. One that does not is killed.
func (c *child) end() {
	if c.ended {
		return
	}
	c.ended = true
	c.orders.Close()
	timer := time.AfterFunc(limit, c.kill)
	defer timer.Stop()
	if err := c.cmd.Wait(); err != nil { // the race detector's word, too
		c.r.Errorf("%s: %v", c.name, err)
	}
}

// stop and resume do what the shell's job control does.
func (c *child) stop() {
	c.r.Helper()
	c.r.must(c.cmd.Process.Signal(unix.SIGSTOP))
	until(c.r, c.name+" is stopped", c.isStopped)
}

func (c *child) resume() {
	c.r.Helper()
	c.r.must(c.cmd.Process.Signal(unix.SIGCONT))
}

func (c *child) isStopped() bool {
	c.r.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	c.r.must(err)
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "T")
}
