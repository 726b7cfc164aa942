// SPDX-License-Identifier: MIT

package pool

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// hostileEnv makes the test program play a member that lies: it holds a scheme.
const hostileEnv = "POOL_TEST_HOSTILE"

// scheme says what it lies about, beginning with what.
type scheme struct {
	Base    string
	Ifindex int
	About   string
	Seed    uint64
}

// hostile is a member in order that then writes what it likes where it can.
type hostile struct {
	scheme
	*Member
	*Queue
	*rand.Rand
	targets [][]byte // to be filled with garbage
	told    []seatOf // tenures that it has seen
}

// abouts are the lies, each with what it reaches.
var abouts = map[string]func(*hostile) error{
	"packets":     func(h *hostile) error { return h.reach(h.umem.bytes) },
	"control":     func(h *hostile) error { return h.reach(h.control.bytes) },
	"flights":     func(h *hostile) error { return h.reach(h.control.bytes[int(h.shape.Members)*64:]) },
	"completion":  func(h *hostile) error { return h.reachRing(h.FD(), unix.XDP_UMEM_PGOFF_COMPLETION_RING, 4096) },
	"fill":        func(h *hostile) error { return h.reachRing(h.FD(), unix.XDP_UMEM_PGOFF_FILL_RING, 8192+512) },
	"own rings":   (*hostile).reachOwn,
	"other rings": (*hostile).reachOthers,
	"words":       func(*hostile) error { return nil }, // only sends messages
}

// anyKernel adopts real classifiers, too: tests/c/liar_test.c has this program lie to a host.
type anyKernel struct{ testKernel }

type realProgram struct{ *classifier.Classifier }

func (p realProgram) FDs() []int {
	fds := p.Classifier.FDs()
	return fds[:]
}

func (k anyKernel) Adopt(ifindex int, fds []int) (Program, error) {
	if len(fds) != len(classifier.FDs{}) {
		return k.testKernel.Adopt(ifindex, fds)
	}
	c, err := classifier.Adopt(classifier.FDs(fds))
	return realProgram{c}, err
}

func hostileMain() {
	h := &hostile{}
	err := json.Unmarshal([]byte(os.Getenv(hostileEnv)), &h.scheme)
	h.Rand = rand.New(rand.NewPCG(h.Seed, 0))
	var dir *rundir.Dir
	if err == nil {
		dir, err = rundir.Open(h.Base)
	}
	if err == nil {
		h.Member, err = Open(dir, anyKernel{testKernel{link.XDPDriverMode}})
	}
	if err == nil {
		h.Queue, err = h.Member.Join(h.Ifindex, 0, small)
	}
	for about, reach := range abouts {
		if err == nil && (h.About == about || h.About == "everything") {
			err = reach(h)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("lies")
	for {
		h.lie()
	}
}

func (h *hostile) reach(memory []byte) error {
	h.targets = append(h.targets, memory)
	return nil
}

// reachRing maps a ring whole, as far as it goes.
func (h *hostile) reachRing(fd int, page int64, size int) error {
	for ; size > 0; size -= 4096 {
		memory, err := unix.Mmap(fd, page, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err == nil {
			return h.reach(memory)
		}
	}
	return errors.New("a ring cannot be mapped")
}

func (h *hostile) reachOwn() error {
	return errors.Join(h.reachRing(h.FD(), unix.XDP_PGOFF_RX_RING, 1024), h.reachRing(h.FD(), unix.XDP_PGOFF_TX_RING, 1024))
}

// reachOthers reaches the rings of the others by the copies of their sockets.
func (h *hostile) reachOthers() (err error) {
	for _, s := range h.siblings() {
		err = errors.Join(err, h.reachRing(s.fd, unix.XDP_PGOFF_RX_RING, 1024), h.reachRing(s.fd, unix.XDP_PGOFF_TX_RING, 1024))
		h.told = append(h.told, seatOf{s.seat, s.tenure})
	}
	return err
}

// lie writes a little, lets the kernel look at it, and tells everybody something.
func (h *hostile) lie() {
	for range 50 {
		if len(h.targets) > 0 {
			target := h.targets[h.IntN(len(h.targets))]
			at := h.IntN(min(len(target), 1<<h.IntN(21)+8) / 4) // the beginning more often: there are the indexes
			binary.NativeEndian.PutUint32(target[at*4:], h.Uint32()>>h.IntN(32))
		}
	}
	h.socket.Transmit()
	h.socket.Receive()
	if h.About == "words" || h.About == "everything" {
		h.talk()
	}
}

// talk sends a message that a member could send, with random numbers, old tenures and sockets of others.
func (h *hostile) talk() {
	m := message{
		Kind: kind(h.IntN(12)), ID: uint32(h.IntN(8)), Slot: uint32(h.IntN(MaxSlots + 2)), Topic: h.topic,
		Found: uint32(h.IntN(2)), Count: uint32(h.IntN(3)), Shape: h.shape, Maps: uint32(h.IntN(8) / 7),
	}
	for i := range m.Seats[:2] {
		m.Seats[i] = seatOf{uint32(h.IntN(5)), tenure(h.Uint32() >> h.IntN(32))}
		if len(h.told) > 0 && h.IntN(2) == 0 {
			m.Seats[i] = h.told[h.IntN(len(h.told))]
		}
	}
	fds := []int{h.umem.fd, h.control.fd, h.FD(), 0}[:h.IntN(5)]
	for _, p := range h.Member.others() {
		_ = p.conn.SetWriteDeadline(time.Now().Add(time.Millisecond))
		switch h.IntN(16) {
		case 0:
			_, _ = p.conn.Write(make([]byte, h.IntN(800)))
		default:
			_ = send(p.conn, &m, fds)
		}
	}
	h.greetAll()
}

// greetAll connects to everybody anew, now and then: who is sent nonsense hangs up.
func (h *hostile) greetAll() {
	if len(h.Member.others()) > 0 || h.IntN(20) != 0 {
		return
	}
	names, _ := h.dir.Names()
	for _, name := range names {
		if _, ok := parseSocket(name); !ok {
			continue
		}
		if conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: h.dir.ShortPath(name), Net: "unixpacket"}); err == nil {
			_ = send(conn, &message{Kind: hello, Slot: uint32(h.IntN(MaxSlots))}, nil)
			h.Member.enter(newPeer(conn, uint32(h.IntN(MaxSlots))))
		}
	}
}

// besiege starts a member that lies.
func (w *wire) besiege(about string, seed uint64) (end func()) {
	w.Helper()
	text, err := json.Marshal(scheme{w.base, w.right.Index, about, seed})
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), hostileEnv+"="+string(text))
	cmd.Stderr = io.Discard // it may well break down over its own lies
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	w.in(cmd.Start)
	said := make([]byte, 100)
	n, _ := out.Read(said)
	if s := string(said[:n]); !strings.HasPrefix(s, "lies") {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		w.Fatalf("the liar cannot begin: %s", s)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// endure does all that a member does, and wants no more than that it comes to an end. Packets may be lost, and
// where there are lies about FILL be overwritten by those of others, which is seen when they are looked at.
func (a *actor) endure(rounds int) {
	a.w.Helper()
	longest := time.Duration(0)
	timed := func(f func()) {
		begun := time.Now()
		f()
		longest = max(longest, time.Since(begun))
	}
	for i := range rounds {
		for range 20 {
			a.w.send(packet(a.Slot(), uint64(i), 100))
		}
		timed(func() {
			for n := a.Peek(MaxTurn); n > 0; n = 0 {
				for i := range n {
					p := a.Packet(i)
					_ = append([]byte(nil), p...) // every byte can be read
				}
				a.Release()
			}
		})
		timed(func() {
			n := a.Reserve(4)
			out := make([]Outgoing, n)
			for i := range out {
				out[i].Length = uint32(copy(a.Frame(i), packet(nobody, 1, 100)))
			}
			a.Submit(out)
			_ = a.Kick()
		})
		if i%10 == 0 {
			timed(func() {
				if _, err := a.Audit(a.w.right.Index, 0); err != nil {
					a.w.Error(err)
				}
			})
		}
	}
	if longest > 2*time.Second {
		a.w.Errorf("one step took %v", longest)
	}
}

// A member writes garbage wherever it can, and says whatever it likes. The other one goes on: it does not fail, does
// not hang, and reads and writes nothing outside. When the liar is killed, all is well again, at the latest
// when the pool has been left by all.
func TestHostileMember(t *testing.T) {
	impatient(t)
	w := newWire(t)
	for name, heals := range map[string]bool{
		"packets": true, "flights": true, "completion": false, "own rings": false, "words": true,
		"fill": false, "control": true, "other rings": false, "everything": false,
	} {
		t.Run(name, func(t *testing.T) {
			w.TB = t
			netnstest.CheckFDs(t)
			a := w.act(small)
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			end := w.besiege(name, seed)
			a.endure(100)
			end()
			a.endure(20)
			c, err := a.Audit(w.right.Index, 0)
			t.Logf("counters %+v, census %v %v", a.Counters(), c, err)
			if heals {
				w.wantHealed(a)
			}
			_ = a.Leave()
			_ = a.Member.Close()
			b := w.act(small)
			b.pass(50)
			wantWhole(t, b.waitSeats(1), 0)
			b.die()
		})
	}
}

// wantHealed wants that nothing is left of a liar, once what it has begun is over.
func (w *wire) wantHealed(a *actor) {
	w.Helper()
	time.Sleep(staleAfter)
	for a.Peek(MaxTurn) > 0 {
		a.Release()
	}
	for deadline := time.Now().Add(limit); a.waitSeats(1).Missing > 1 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // seats of nobody are looked at each second
	}
	wantWhole(w, a.waitSeats(1), 1)
	before := a.next
	a.sent = before
	w.send(packet(a.Slot(), before, 100))
	packets, err := a.take(1)
	if err != nil || !whole(packets[0]) || mark(packets[0]) != a.Slot() {
		w.Errorf("after the liar: %v %v", packets, err)
	}
	if err := a.put(packet(nobody, 1, 100)); err != nil {
		w.Error(err)
	}
}
