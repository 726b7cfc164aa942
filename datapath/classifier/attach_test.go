// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// wire is a veth pair between two network namespaces, of which the right one is ours.
type wire struct {
	t           testing.TB
	left, right netnstest.End
}

// newWire also checks that the test leaks no descriptor.
func newWire(t testing.TB) *wire {
	t.Helper()
	netnstest.CheckFDs(t)
	w := &wire{t,
		netnstest.End{NS: netnstest.New(t), Name: "l0", Addrs: netnstest.Prefixes("10.0.0.1/24", "fd00::1/64")},
		netnstest.End{NS: netnstest.New(t), Name: "r0", Addrs: netnstest.Prefixes("10.0.0.2/24", "10.0.0.3/24", "fd00::2/64", "fd00::3/64")},
	}
	netnstest.Veth(t, &w.left, &w.right)
	return w
}

// attach attaches a classifier to the right end.
func (w *wire) attach(c *Classifier, mode Mode) (a Attachment, err error) {
	w.t.Helper()
	w.right.NS.Do(w.t, func() error {
		a, err = c.Attach(w.right.Index, mode)
		return nil
	})
	return a, err
}

// attachment asks where it is.
func (w *wire) attachment(c *Classifier) (a Attachment, err error) {
	w.t.Helper()
	w.right.NS.Do(w.t, func() error {
		a, err = c.Attachment()
		return nil
	})
	return a, err
}

// on reads which program is on the right end.
func (w *wire) on() (x xdp) {
	w.t.Helper()
	w.right.NS.Do(w.t, func() (err error) {
		x, err = xdpOf(w.right.Index)
		return err
	})
	return x
}

// until repeats the question that has no event.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// wantOff waits until no program is on the right end: the kernel takes a link down when it has time.
func (w *wire) wantOff() {
	w.t.Helper()
	until(w.t, "the program leaves the interface", func() bool { return w.on().program == 0 })
}

func TestAttach(t *testing.T) {
	for mode, want := range map[Mode]Mode{AnyMode: Native, Native: Native, Generic: Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			w := newWire(t)
			c := newClassifier(t, Options{})
			if _, err := c.Attachment(); !errors.Is(err, ErrDetached) {
				t.Errorf("not attached: %v", err)
			}
			a, err := w.attach(c, mode)
			check(t, err)
			if a.Ifindex != w.right.Index || a.Mode != want || a.Link == 0 || a.NotNative != nil {
				t.Errorf("%+v", a)
			}
			if on := w.on(); on != (xdp{"r0", a.Program, want}) {
				t.Errorf("%+v on the interface, want program %d", on, a.Program)
			}
			if again, err := w.attachment(c); err != nil || again != a {
				t.Errorf("%+v, %v; want %+v", again, err, a)
			}
			if _, err := w.attach(c, mode); err == nil || !strings.Contains(err.Error(), "attached already") {
				t.Errorf("attached twice: %v", err)
			}
			check(t, c.Close())
			w.wantOff()
		})
	}
}

// An interface of another network namespace is not mistaken for it.
func TestAttachmentElsewhere(t *testing.T) {
	w, c := attached(t, Options{})
	if w.left.Index != w.right.Index {
		t.Fatalf("interfaces %d and %d", w.left.Index, w.right.Index)
	}
	w.left.NS.Do(t, func() error {
		if a, err := c.Attachment(); err == nil || !strings.Contains(err.Error(), "of this network namespace is not the one") {
			t.Errorf("%+v, %v", a, err)
		}
		return nil
	})
	netnstest.New(t).Do(t, func() error {
		_, err := c.Attachment()
		wantError(t, err, unix.ENODEV, fmt.Sprintf("RTM_GETLINK(interface %d)", w.right.Index))
		return nil
	})
}

// Loopback has no native XDP.
func TestAttachWhereNativeIsNot(t *testing.T) {
	netnstest.CheckFDs(t)
	ns := netnstest.New(t)
	c := newClassifier(t, Options{})
	ns.Do(t, func() error {
		lo, err := net.InterfaceByName("lo")
		if err != nil {
			return err
		}
		_, err = c.Attach(lo.Index, Native)
		wantError(t, err, unix.EOPNOTSUPP, "BPF_LINK_CREATE", fmt.Sprintf("interface %d, native", lo.Index), "the driver knows no XDP")
		a, err := c.Attach(lo.Index, AnyMode)
		if err != nil {
			return err
		}
		if a.Mode != Generic {
			t.Errorf("%+v", a)
		}
		wantError(t, a.NotNative, unix.EOPNOTSUPP, "native")
		return nil
	})
}

func TestAttachRefuses(t *testing.T) {
	w := newWire(t)
	c := newClassifier(t, Options{})
	for _, mode := range []Mode{AnyMode, Native, Generic} {
		_, err := c.Attach(1<<20, mode)
		wantError(t, err, unix.EINVAL, "interface 1048576", "there is no such interface in this network namespace")
	}
	for _, mode := range []Mode{Offloaded, 77} {
		if _, err := w.attach(c, mode); err == nil || !strings.Contains(err.Error(), "mode "+mode.String()) {
			t.Errorf("mode %d: %v", mode, err)
		}
	}
	if on := w.on(); on.program != 0 {
		t.Errorf("%+v", on)
	}
}

// Jumbo frames need a program that takes packets in pieces.
func TestAttachToJumboFrames(t *testing.T) {
	w := newWire(t)
	w.left.NS.Run(t, "ip", "link", "set", "l0", "mtu", "9000")
	w.right.NS.Run(t, "ip", "link", "set", "r0", "mtu", "9000")
	a, err := w.attach(newClassifier(t, Options{}), Native)
	check(t, err)
	if a.Mode != Native {
		t.Errorf("%+v", a)
	}
}

// passing makes a program of somebody else, who lets every packet pass.
func passing(t testing.TB, name string) *ebpf.Program {
	t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.XDP, License: "MIT",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, pass), asm.Return()}})
	check(t, err)
	t.Cleanup(func() { program.Close() })
	return program
}

// foreign are the ways in which somebody else's program can be on an interface.
var foreign = map[string]struct {
	mode Mode
	put  func(w *wire, p *ebpf.Program) error
}{
	"native link":  {Native, func(w *wire, p *ebpf.Program) error { return w.putLink(p, link.XDPDriverMode) }},
	"generic link": {Generic, func(w *wire, p *ebpf.Program) error { return w.putLink(p, link.XDPGenericMode) }},
	"native":       {Native, func(w *wire, p *ebpf.Program) error { return w.put(p, unix.XDP_FLAGS_DRV_MODE) }},
	"generic":      {Generic, func(w *wire, p *ebpf.Program) error { return w.put(p, unix.XDP_FLAGS_SKB_MODE) }},
}

// putLink puts it by a link.
func (w *wire) putLink(p *ebpf.Program, flags link.XDPAttachFlags) error {
	l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: w.right.Index, Flags: flags})
	if err == nil {
		w.t.Cleanup(func() { l.Close() })
	}
	return err
}

// put puts it as `ip link set r0 xdp` does.
func (w *wire) put(p *ebpf.Program, flags int) error {
	l, err := netlink.LinkByIndex(w.right.Index)
	if err != nil {
		return err
	}
	return netlink.LinkSetXdpFdWithFlags(l, p.FD(), flags)
}

// A foreign program is named and left alone, however it got there and whatever mode we ask for.
func TestForeignProgramIsLeftAlone(t *testing.T) {
	for name, test := range foreign {
		t.Run(name, func(t *testing.T) {
			w := newWire(t)
			p := passing(t, "somebody_elses")
			w.right.NS.Do(t, func() error { return test.put(w, p) })
			before := w.on()
			for _, mode := range []Mode{AnyMode, Native, Generic} {
				c := newClassifier(t, Options{})
				_, err := w.attach(c, mode)
				w.wantOccupied(err, test.mode, p, "somebody_elses")
				check(t, c.Close())
			}
			if after := w.on(); after != before || after.program == 0 {
				t.Errorf("program %+v became %+v", before, after)
			}
		})
	}
}

func (w *wire) wantOccupied(err error, mode Mode, p *ebpf.Program, name string) *OccupiedError {
	w.t.Helper()
	info, infoErr := p.Info()
	check(w.t, infoErr)
	id, _ := info.ID()
	var o *OccupiedError
	if !errors.As(err, &o) {
		w.t.Fatalf("%v", err)
	}
	if o.Ifindex != w.right.Index || o.Interface != "r0" || o.Mode != mode || o.Program != uint32(id) || o.Name != name {
		w.t.Errorf("%+v; want program %d, %s, %v", o, id, name, mode)
	}
	if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EEXIST) {
		w.t.Errorf("%v", err)
	}
	for _, says := range []string{"interface r0", fmt.Sprintf("number %d", id), name, mode.String(), "which is left there"} {
		if !strings.Contains(err.Error(), says) {
			w.t.Errorf("%v does not say %q", err, says)
		}
	}
	return o
}

// Two who come first at the same time find each other.
func TestOursIsKnown(t *testing.T) {
	w := newWire(t)
	first, second := newClassifier(t, Options{}), newClassifier(t, Options{})
	_, err := w.attach(first, AnyMode)
	check(t, err)
	_, err = w.attach(second, AnyMode)
	if !w.wantOccupied(err, Native, first.objects.MsquicxdpClassify, bpf.ClassifierProgMsquicxdpClassify).Ours() {
		t.Error("taken for a foreign one")
	}
	check(t, first.Close())
	w.wantOff()
	_, err = w.attach(second, AnyMode)
	check(t, err)
	for name, want := range map[string]bool{
		"msquicxdp_classify": true, "msquicxdp_class": true, "": false, "msquicxdp": false, "msquicxdp_steer": false,
	} {
		if got := (&Occupant{Name: name}).Ours(); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// Nobody can put a program over ours as long as we are there, which is how the kernel keeps links.
func TestNobodyReplacesOurs(t *testing.T) {
	for name, test := range foreign {
		t.Run(name, func(t *testing.T) {
			w := newWire(t)
			_, err := w.attach(newClassifier(t, Options{}), AnyMode)
			check(t, err)
			before := w.on()
			w.right.NS.Do(t, func() error {
				if err := test.put(w, passing(t, "intruder")); err == nil {
					t.Error("put over ours")
				}
				return nil
			})
			if after := w.on(); after != before {
				t.Errorf("program %+v became %+v", before, after)
			}
		})
	}
}

// A device that goes takes the program with it, and leaves nothing behind.
func TestDeviceGoes(t *testing.T) {
	w := newWire(t)
	c := newClassifier(t, Options{})
	_, err := w.attach(c, AnyMode)
	check(t, err)
	adopted, err := Adopt(handOver(t, c))
	check(t, err)
	t.Cleanup(func() { adopted.Close() })
	w.right.NS.Run(t, "ip", "link", "delete", "r0")
	for _, c := range []*Classifier{c, adopted} {
		if _, err := w.attachment(c); !errors.Is(err, ErrDetached) {
			t.Errorf("%v", err)
		}
		check(t, c.PutPort(1000, Exclusive(1)), c.Close())
	}
}

// An administrator can take it off by force.
func TestDetachedByForce(t *testing.T) {
	w := newWire(t)
	c := newClassifier(t, Options{})
	a, err := w.attach(c, AnyMode)
	check(t, err)
	l, err := link.NewFromID(link.ID(a.Link))
	check(t, err)
	check(t, l.Detach(), l.Close())
	w.wantOff()
	if _, err := w.attachment(c); !errors.Is(err, ErrDetached) || !strings.Contains(err.Error(), fmt.Sprintf("link %d", a.Link)) {
		t.Errorf("%v", err)
	}
	// It can be put back.
	again, err := w.attach(c, AnyMode)
	check(t, err)
	if again.Link == a.Link || again.Program != a.Program {
		t.Errorf("%+v, was %+v", again, a)
	}
}

// The packets of each receive queue go to the sockets of that queue.
func TestQueues(t *testing.T) {
	s := newHost(t)
	ns := netnstest.New(t)
	ns.Sysctl(t, "net/ipv6/conf/default/disable_ipv6", "1") // or there are packets of the kernel's own
	const queues = MaxQueues + 6
	n := fmt.Sprint(queues)
	ns.Run(t, "ip", "link", "add", "q0", "numrxqueues", n, "numtxqueues", n, "type", "veth", "peer", "name", "q1", "numrxqueues", n, "numtxqueues", n)
	for _, name := range []string{"q0", "q1"} {
		ns.Run(t, "ip", "link", "set", name, "up")
	}
	ns.Do(t, func() error {
		q0, err := net.InterfaceByName("q0")
		if err != nil {
			return err
		}
		if _, err := s.c.Attach(q0.Index, Native); err != nil {
			return err
		}
		for queue := range uint32(queues) {
			exclusive := arrival{packet(here4, exclusivePort, nil), 0, q0.Index, queue}
			shared := arrival{packet(here6, sharedPort, short(usual, identifier(usual.Length, 2))), 0, q0.Index, queue}
			if queue > 0 && queue < MaxQueues {
				if got := s.tryArrival(exclusive); got != NoSocket {
					t.Errorf("queue %d: %v", queue, got)
				}
				s.putSocket(busySlot, queue)
				s.putSocket(lastSlot, queue)
				s.pause(queue)
				s.tryArrival(shared)
				s.resume(queue)
			}
			for _, a := range []arrival{exclusive, shared} {
				if got, want := s.tryArrival(a), map[bool]Reason{true: Redirected, false: NoSocket}[queue < MaxQueues]; got != want {
					t.Errorf("queue %d: %v", queue, got)
				}
			}
		}
		return nil
	})
}

// A twin takes the program's place for a moment, and where its process dies, until the next
// refresh. Packets and adopters are served as before.
func TestRefresh(t *testing.T) {
	w := newWire(t)
	c := newClassifier(t, Options{})
	before, err := w.attach(c, Native)
	check(t, err)
	if err := c.Refresh(); err != nil {
		t.Fatal(err)
	}
	after, err := w.attachment(c)
	if err != nil || after.Program != before.Program || c.HasTwin() {
		t.Errorf("program %d before and %d after, a twin: %v, %v", before.Program, after.Program, c.HasTwin(), err)
	}
	spec, err := bpf.LoadClassifier()
	check(t, err)
	left, err := ebpf.NewCollection(spec) // any other program
	check(t, err)
	defer left.Close()
	check(t, c.link.Update(left.Programs["msquicxdp_classify"]))
	if !c.HasTwin() {
		t.Error("another program is there, and it is no twin")
	}
	check(t, c.Refresh())
	if c.HasTwin() {
		t.Error("the twin is left")
	}
}

func TestRefreshWithoutInterface(t *testing.T) {
	if err := newClassifier(t, Options{}).Refresh(); !errors.Is(err, ErrDetached) {
		t.Errorf("%v", err)
	}
}
