// SPDX-License-Identifier: MIT

package xdp

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/frame"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

// puppetEnv makes the test program play a process in map mode, on the interface that it names.
const puppetEnv = "XDP_TEST_PUPPET"

// memlockEnv is the puppet's RLIMIT_MEMLOCK, in bytes.
const memlockEnv = "XDP_TEST_MEMLOCK"

// mapFD is where a puppet has its map.
const mapFD = 3

// said is what a puppet says on each line that it is asked.
type said struct {
	Err          string
	Capabilities string // in force, as /proc has them
	Ports        map[uint16]int
	Census       pool.Census
}

// puppet counts what it receives, by port, unless it is told to sleep.
type puppet struct {
	engine *Engine
	mu     sync.Mutex
	ports  map[uint16]int
	asleep bool
}

func puppetMain() {
	var ifindex, memlock int
	_, _ = fmt.Sscan(os.Getenv(puppetEnv), &ifindex)
	if _, err := fmt.Sscan(os.Getenv(memlockEnv), &memlock); err == nil {
		_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: uint64(memlock), Max: uint64(memlock)})
	}
	p := &puppet{ports: map[uint16]int{}}
	e, _, err := OpenMapped(Options{}, []Map{{Ifindex: ifindex, FD: mapFD}})
	out := json.NewEncoder(os.Stdout)
	if err != nil {
		_ = out.Encode(said{Err: err.Error()})
		return
	}
	p.engine = e
	for _, q := range e.Queues() {
		go p.receive(q)
	}
	_ = out.Encode(p.tell())
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		p.mu.Lock()
		p.asleep = p.asleep || orders.Text() == "sleep"
		p.mu.Unlock()
		_ = out.Encode(p.tell())
	}
	e.Close()
}

func (p *puppet) tell() said {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := said{Ports: p.ports}
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "CapEff:\t")
	s.Capabilities, _, _ = strings.Cut(rest, "\n")
	q := p.engine.Queues()[0]
	c, err := p.engine.net.member.Audit(q.ifindex, 0)
	s.Census = c
	if err != nil {
		s.Err = err.Error()
	}
	return s
}

func (p *puppet) receive(q *Queue) {
	buf := make([]byte, longestPacket)
	for {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(q.seat.FD()), Events: unix.POLLIN}}, 10)
		p.mu.Lock()
		for n := q.seat.Peek(pool.MaxTurn); n > 0 && !p.asleep; n = q.seat.Peek(pool.MaxTurn) {
			for i := range n {
				var f frame.Packet
				b := buf[:copy(buf, q.seat.Packet(i))]
				if frame.Parse(b, &f) == frame.OK {
					p.ports[f.DestinationPort]++
				}
			}
			q.seat.Release()
		}
		p.mu.Unlock()
	}
}

// threads are by what a puppet is held.
type threads struct {
	t       *testing.T
	cmd     *exec.Cmd
	orders  *os.File
	answers *json.Decoder
}

// who a puppet is.
type who struct {
	uid, gid     uint32
	capabilities []uintptr
	memlock      int
}

// root is whoever runs the test.
var root = who{memlock: 8 << 20}

// nobody has no privilege at all, but a group in common with others.
const (
	nobodyUID = 65534
	sharedGID = 61100
)

// start makes a puppet with a map, and returns what it says first.
func (w *world) start(m int, who who) (*threads, said) {
	w.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", puppetEnv, w.right.Index), fmt.Sprintf("%s=%d", memlockEnv, who.memlock))
	cmd.ExtraFiles = []*os.File{w.mapFile(m)}
	if who.uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential:  &syscall.Credential{Uid: who.uid, Gid: who.gid},
			AmbientCaps: who.capabilities,
		}
	}
	cmd.Stderr = os.Stderr
	stdin, orders, err := os.Pipe()
	if err != nil {
		w.Fatal(err)
	}
	defer stdin.Close()
	cmd.Stdin = stdin
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	w.in(cmd.Start)
	s := &threads{t: w.T, cmd: cmd, orders: orders, answers: json.NewDecoder(stdout)}
	w.Cleanup(s.cut)
	return s, s.hear()
}

func (s *threads) hear() (a said) {
	s.t.Helper()
	if err := s.answers.Decode(&a); err != nil {
		s.t.Fatalf("a puppet says nothing: %v", err)
	}
	return a
}

func (s *threads) order(what string) said {
	s.t.Helper()
	if _, err := fmt.Fprintln(s.orders, what); err != nil {
		s.t.Fatal(err)
	}
	return s.hear()
}

// wait waits until the puppet has received n datagrams to a port.
func (s *threads) wait(port uint16, n int) {
	s.t.Helper()
	var a said
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if a = s.order("tell"); a.Ports[port] >= n {
			return
		}
	}
	s.t.Errorf("%d datagrams to port %d, want %d", a.Ports[port], port, n)
}

// close lets the puppet end in order.
func (s *threads) close() {
	s.orders.Close()
	_ = s.cmd.Wait()
}

// kill ends it as kill -9 does.
func (s *threads) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// cut is for the end of the test.
func (s *threads) cut() {
	s.orders.Close()
	if s.cmd.ProcessState == nil {
		s.kill()
	}
}

// limit bounds the wait for what must happen.
const limit = 20 * time.Second
