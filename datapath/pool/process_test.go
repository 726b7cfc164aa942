// SPDX-License-Identifier: MIT

package pool

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// memberEnv makes the test program play a member: it holds a job.
const memberEnv = "POOL_TEST_MEMBER"

// job is what a member's process is to do.
type job struct {
	Base           string
	Ifindex, Queue int
	Options        Options
	Rate           int           // packets to send in a second
	To             uint32        // to which slot
	Ahead          time.Duration // its clocks, of ours
}

// report is what it says on each line that it is asked.
type report struct {
	Err        string
	Slot       uint32
	Clock      time.Duration
	Received   uint64
	Wrong      uint64 // packets of others
	Missed     uint64 // numbers left out
	Behind     uint64 // numbers not above the one before
	Last       uint64
	Sent       uint64
	Backlog    int
	Kernel     xsk.Statistics
	Counters   Counters
	Census     Census
	Events     []string
	Recoveries int
	Slowest    time.Duration
}

// puppet plays a member by orders.
type puppet struct {
	job
	member *Member
	queue  *Queue
	mu     sync.Mutex // that a turn is under way
	report report
	dieAt  atomic.Int64
	stopAt atomic.Int64
	sent   atomic.Uint64
	hushed atomic.Bool // no more packets are to be sent
	silent chan struct{}
	stop   chan struct{}
	work   sync.WaitGroup
}

func memberMain() {
	p := &puppet{}
	err := json.Unmarshal([]byte(os.Getenv(memberEnv)), &p.job)
	var dir *rundir.Dir
	if err == nil {
		dir, err = rundir.Open(p.Base)
	}
	if err == nil {
		p.member, err = Open(dir, testKernel{link.XDPDriverMode})
	}
	if err == nil {
		p.member.step = p.at
		err = p.join()
	}
	out := json.NewEncoder(os.Stdout)
	if err != nil {
		_ = out.Encode(report{Err: err.Error()})
		os.Exit(1)
	}
	orders := bufio.NewScanner(os.Stdin)
	_ = out.Encode(p.tell(nil))
	for orders.Scan() {
		_ = out.Encode(p.tell(p.obey(orders.Text())))
	}
}

func (p *puppet) join() (err error) {
	p.queue, err = p.member.Join(p.Ifindex, p.Queue, p.Options)
	if err != nil {
		return err
	}
	p.report.Last = 0
	p.stop = make(chan struct{})
	p.work.Go(p.receive)
	if p.Rate > 0 {
		p.silent = make(chan struct{})
		p.work.Go(p.send)
	}
	return nil
}

func (p *puppet) leave() error {
	close(p.stop)
	p.work.Wait()
	q := p.queue
	p.queue = nil
	return q.Leave()
}

func (p *puppet) at(where point) {
	switch int64(where) {
	case p.dieAt.Load():
		_ = unix.Kill(unix.Getpid(), unix.SIGKILL)
		select {}
	case p.stopAt.Swap(0):
		_ = unix.Kill(unix.Getpid(), unix.SIGSTOP)
	}
}

func (p *puppet) obey(order string) (err error) {
	verb, rest, _ := strings.Cut(order, " ")
	switch verb {
	case "stat":
	case "audit":
		p.report.Census, err = p.member.Audit(p.Ifindex, p.Queue)
	case "hush":
		p.hushed.Store(true)
		<-p.silent
	case "leave":
		err = p.leave()
	case "join":
		err = p.join()
	case "die":
		var at int
		_, err = fmt.Sscan(rest, &at)
		p.dieAt.Store(int64(at))
	case "stop":
		var at int
		_, err = fmt.Sscan(rest, &at)
		p.stopAt.Store(int64(at))
	case "close":
		if p.queue != nil {
			err = p.leave()
		}
		err = errors.Join(err, p.member.Close())
	default:
		err = errors.New("order " + order)
	}
	return err
}

func (p *puppet) tell(err error) report {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.report
	r.Slot, r.Sent, r.Clock = p.member.Slot(), p.sent.Load(), netnstest.Clock()
	if err != nil {
		r.Err = err.Error()
	}
	if p.queue != nil {
		r.Kernel, _ = p.queue.Statistics()
		r.Counters = p.queue.Counters()
	}
	for _, e := range p.member.Events() {
		r.Events = append(r.Events, e.String())
		if e.Kind == Recovered {
			r.Recoveries++
			r.Slowest = max(r.Slowest, e.Duration)
		}
	}
	return r
}

// receive is the data thread.
func (p *puppet) receive() {
	runtime.LockOSThread()
	buf := make([]byte, chunkSize)
	for {
		select {
		case <-p.stop:
			return
		default:
		}
		_ = p.queue.poll(10 * time.Millisecond)
		p.mu.Lock()
		for n := p.queue.Peek(MaxTurn); n > 0; n = p.queue.Peek(MaxTurn) {
			for i := range n {
				p.note(buf[:copy(buf, p.queue.Packet(i))])
			}
			p.queue.Release()
		}
		p.mu.Unlock()
	}
}

func (p *puppet) note(packet []byte) {
	r := &p.report
	if !whole(packet) || mark(packet) != p.member.Slot() {
		r.Wrong++
		return
	}
	r.Received++
	n := number(packet)
	switch {
	case r.Last == 0:
	case n <= r.Last:
		r.Behind++
		return
	default:
		r.Missed += n - r.Last - 1
	}
	r.Last = n
}

// send sends numbered packets at the rate of the job. When it returns, the kernel has them all.
func (p *puppet) send() {
	runtime.LockOSThread()
	defer close(p.silent)
	start := time.Now()
	begun := p.sent.Load()
	out := make([]Outgoing, MaxTurn)
	for {
		select {
		case <-p.stop:
			return
		default:
		}
		due := begun + uint64(time.Since(start).Seconds()*float64(p.Rate))
		if p.hushed.Load() {
			due = p.sent.Load()
		}
		n := p.queue.Reserve(int(min(due-p.sent.Load(), MaxTurn)))
		for i := range n {
			n := p.sent.Add(1)
			out[i].Length = uint32(copy(p.queue.Frame(i), packet(p.To, uint64(p.member.Slot())<<48|n, 1294)))
		}
		p.queue.Submit(out[:n])
		if n == 0 && p.queue.Backlog() == 0 {
			if p.hushed.Load() {
				return
			}
			time.Sleep(200 * time.Microsecond)
			continue
		}
		if err := p.queue.Kick(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
	}
}

// child is a member's process, seen from the test.
type child struct {
	w      *wire
	cmd    *exec.Cmd
	orders *os.File
	said   *bufio.Scanner
	slot   uint32
}

// spawn starts a member at the right end.
func (w *wire) spawn(j job) *child {
	w.Helper()
	c, r, err := w.trySpawn(j)
	if err != nil || r.Err != "" {
		w.Fatal(err, r.Err)
	}
	return c
}

func (w *wire) trySpawn(j job) (*child, report, error) {
	w.Helper()
	j.Base, j.Ifindex = w.base, w.right.Index
	text, err := json.Marshal(j)
	if err != nil {
		w.Fatal(err)
	}
	c := &child{w: w, cmd: exec.Command(os.Args[0], "-test.run=^$")}
	c.cmd.Env = append(os.Environ(), memberEnv+"="+string(text))
	c.cmd.Stderr = os.Stderr
	if j.Ahead != 0 {
		netnstest.SetClocks(w, c.cmd, j.Ahead)
	}
	in, orders, err := os.Pipe()
	if err != nil {
		w.Fatal(err)
	}
	c.orders, c.cmd.Stdin = orders, in
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	w.in(c.cmd.Start)
	in.Close()
	w.Cleanup(func() { c.kill() })
	c.said = bufio.NewScanner(out)
	c.said.Buffer(nil, 1<<20)
	r, err := c.hear()
	c.slot = r.Slot
	return c, r, err
}

func (c *child) hear() (r report, err error) {
	if !c.said.Scan() {
		return r, errors.New("the process has ended")
	}
	return r, json.Unmarshal(c.said.Bytes(), &r)
}

// do gives an order and wants it to be obeyed.
func (c *child) do(order string) report {
	c.w.Helper()
	fmt.Fprintln(c.orders, order)
	r, err := c.hear()
	if err != nil || r.Err != "" {
		c.w.Errorf("slot %d: %s: %v %s", c.slot, order, err, r.Err)
	}
	return r
}

// signal sends a signal. One that stops the process has stopped it on return.
func (c *child) signal(s syscall.Signal) {
	_ = c.cmd.Process.Signal(s)
	if s == syscall.SIGSTOP {
		_ = unix.Waitid(unix.P_PID, c.cmd.Process.Pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
	}
}

// kill kills the process, if it runs, and waits for its end.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	c.wait()
}

func (c *child) wait() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Wait()
		c.orders.Close()
	}
}

// end closes the member in order.
func (c *child) end() {
	c.w.Helper()
	c.do("close")
	c.orders.Close()
	if err := c.cmd.Wait(); err != nil {
		c.w.Error(err)
	}
}
