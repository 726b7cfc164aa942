// SPDX-License-Identifier: MIT

package pool

import (
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// limit bounds the wait for what must happen.
const limit = 10 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(memberEnv) != "" {
		memberMain()
		return
	}
	if os.Getenv(hostileEnv) != "" {
		hostileMain()
		return
	}
	if os.Getenv(victimEnv) != "" {
		victimMain()
		return
	}
	for name, value := range map[string]string{"rapid.checks": "5", "rapid.steps": "20", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse() // which may say otherwise
	os.Exit(m.Run())
}

// wire is a veth pair between two network namespaces; members are at its right end.
type wire struct {
	testing.TB
	left, right netnstest.End
	base        string // state directory
	sender      int    // packet socket at the left end
	kernel      testKernel
}

// newWire also checks that the test leaks no descriptor.
func newWire(t testing.TB) *wire {
	t.Helper()
	netnstest.CheckFDs(t)
	w := &wire{
		TB:     t,
		left:   netnstest.End{NS: netnstest.New(t), Name: "l0"},
		right:  netnstest.End{NS: netnstest.New(t), Name: "r0"},
		base:   t.TempDir(),
		kernel: testKernel{link.XDPDriverMode},
	}
	netnstest.Veth(t, &w.left, &w.right)
	w.sender = w.raw(&w.left)
	return w
}

// thread lets a thread of the kernel receive at the right end, where it takes several packets
// at once.
func (w *wire) thread() {
	w.Helper()
	w.right.NS.Run(w, "unshare", "-m", "sh", "-c", "mount -t sysfs none /sys && echo 1 > /sys/class/net/"+w.right.Name+"/threaded")
}

// in runs f at the right end.
func (w *wire) in(f func() error) {
	w.Helper()
	w.right.NS.Do(w, f)
}

// open opens a member in this process, which is closed in the end.
func (w *wire) open() *Member {
	w.Helper()
	m := w.openOnly()
	w.Cleanup(func() {
		if err := m.Close(); err != nil {
			w.Error(err)
		}
	})
	return m
}

// openOnly opens a member in this process.
func (w *wire) openOnly() (m *Member) {
	w.Helper()
	w.in(func() error {
		dir, err := rundir.Open(w.base)
		if err != nil {
			return err
		}
		w.Cleanup(dir.Close)
		m, err = Open(dir, w.kernel)
		return err
	})
	return m
}

// tryJoin joins the queue of the right end.
func (w *wire) tryJoin(m *Member, queue int, o Options) (q *Queue, err error) {
	w.Helper()
	w.in(func() error {
		q, err = m.Join(w.right.Index, queue, o)
		return nil
	})
	return q, err
}

func (w *wire) join(m *Member, o Options) *Queue {
	w.Helper()
	q, err := w.tryJoin(m, 0, o)
	if err != nil {
		w.Fatal(err)
	}
	return q
}

// audit wants a pool that is at rest to be complete.
func (w *wire) audit(m *Member) Census {
	w.Helper()
	c, err := m.Audit(w.right.Index, 0)
	if err != nil {
		w.Fatal(err)
	}
	if c.Missing > 1 || c.Twice != 0 {
		w.Errorf("census of slot %d: %v", m.Slot(), c)
	}
	return c
}

// packet makes a test packet for a slot, that carries a number.
func packet(slot uint32, number uint64, size int) []byte {
	p := make([]byte, size)
	copy(p, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1})
	binary.BigEndian.PutUint16(p[12:], etherType)
	binary.NativeEndian.PutUint16(p[markAt:], uint16(slot))
	binary.BigEndian.PutUint64(p[markAt+2:], number)
	binary.BigEndian.PutUint64(p[size-8:], ^number)
	return p
}

// whole reports whether begin and end are of one packet.
func whole(p []byte) bool {
	return len(p) > 32 && number(p) == ^binary.BigEndian.Uint64(p[len(p)-8:])
}

// nobody is a slot that no member has.
const nobody = MaxSlots

// number of a test packet.
func number(p []byte) uint64 { return binary.BigEndian.Uint64(p[markAt+2:]) }

// mark is the slot that a test packet is for.
func mark(p []byte) uint32 { return uint32(binary.NativeEndian.Uint16(p[markAt:])) }

// raw opens a packet socket at an end.
func (w *wire) raw(end *netnstest.End) (fd int) {
	w.Helper()
	end.NS.Do(w, func() (err error) {
		protocol := uint16(etherType>>8 | etherType&0xff<<8)
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(protocol))
		if err != nil {
			return err
		}
		w.Cleanup(func() { unix.Close(fd) })
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: end.Index})
		if err == nil {
			err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(limit / time.Second)})
		}
		return err
	})
	return fd
}

func (w *wire) send(packets ...[]byte) {
	w.Helper()
	for _, p := range packets {
		if _, err := unix.Write(w.sender, p); err != nil {
			w.Fatal(err)
		}
	}
}

// poll waits until the queue has packets.
func (q *Queue) poll(wait time.Duration) error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(q.FD()), Events: unix.POLLIN}}, int(wait/time.Millisecond))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return errors.New("nothing came")
		default:
			return nil
		}
	}
}

// take receives n packets.
func (q *Queue) take(n int) (packets [][]byte, err error) {
	for len(packets) < n {
		if err := q.poll(limit); err != nil {
			return packets, err
		}
		for i := range q.Peek(n - len(packets)) {
			packets = append(packets, append([]byte(nil), q.Packet(i)...))
		}
		q.Release()
	}
	return packets, nil
}

// put sends packets.
func (q *Queue) put(packets ...[]byte) error {
	for deadline := time.Now().Add(limit); len(packets) > 0; {
		n := q.Reserve(len(packets))
		out := make([]Outgoing, n)
		for i := range out {
			out[i].Length = uint32(copy(q.Frame(i), packets[i]))
		}
		q.Submit(out)
		packets = packets[n:]
		if err := q.Kick(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("nothing is sent")
		}
	}
	return nil
}

// readPacket reads what came, not what was sent.
func readPacket(fd int, buf []byte) (int, error) {
	for {
		n, from, err := unix.Recvfrom(fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); err == nil && ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		return n, err
	}
}
