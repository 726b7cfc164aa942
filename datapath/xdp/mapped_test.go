// SPDX-License-Identifier: MIT

package xdp

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// world is a host with an application that gives port firstPort+i of its only interface to its map i.
type world struct {
	*testing.T
	left, right netnstest.End
	maps        []*ebpf.Map
	base        string // state directory
	sender      *net.UDPConn
}

const firstPort = 1001

func newWorld(t *testing.T) *world {
	t.Helper()
	netnstest.CheckFDs(t)
	w := &world{
		T:     t,
		left:  netnstest.End{NS: netnstest.New(t), Name: "l0", Addrs: netnstest.Prefixes("10.9.0.1/24")},
		right: netnstest.End{NS: netnstest.New(t), Name: "r0", Addrs: netnstest.Prefixes("10.9.0.2/24")},
		base:  t.TempDir(),
	}
	t.Setenv(rundir.Env, w.base)
	netnstest.Veth(t, &w.left, &w.right)
	for range 2 {
		w.maps = append(w.maps, w.newMap(4))
	}
	w.attach()
	w.left.NS.Do(t, func() (err error) {
		w.sender, err = net.ListenUDP("udp4", nil)
		return err
	})
	t.Cleanup(func() { w.sender.Close() })
	return w
}

// shareState lets members of a group have the state directory.
func (w *world) shareState() {
	for dir := w.base; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			w.Fatal(err)
		}
	}
	if err := os.Chown(w.base, 0, sharedGID); err != nil {
		w.Fatal(err)
	}
	if err := os.Chmod(w.base, 0o775|os.ModeSetgid); err != nil {
		w.Fatal(err)
	}
}

// ownState gives the state directory to nobody.
func (w *world) ownState() {
	w.shareState()
	if err := os.Chown(w.base, nobodyUID, nobodyUID); err != nil {
		w.Fatal(err)
	}
	if err := os.Chmod(w.base, 0o700); err != nil {
		w.Fatal(err)
	}
}

func (w *world) newMap(entries uint32) *ebpf.Map {
	w.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: entries})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { m.Close() })
	return m
}

// mapFile is a map as a process inherits it.
func (w *world) mapFile(i int) *os.File {
	w.Helper()
	fd, err := unix.FcntlInt(uintptr(w.maps[i].FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		w.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "map")
	w.Cleanup(func() { f.Close() })
	return f
}

// attach attaches the application's program.
func (w *world) attach() {
	w.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT", Instructions: w.program()})
	if err != nil {
		w.Fatal(err)
	}
	defer program.Close()
	w.in(func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: w.right.Index, Flags: link.XDPDriverMode})
		if err == nil {
			w.Cleanup(func() { l.Close() })
		}
		return err
	})
}

// program passes all but UDP over IPv4 to the ports of the maps.
func (w *world) program() asm.Instructions {
	const pass, portAt = 2, 14 + 20 + 2
	code := asm.Instructions{
		asm.LoadMem(asm.R8, asm.R1, 16, asm.Word), // rx_queue_index
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R7, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Add.Imm(asm.R1, portAt+2),
		asm.JGT.Reg(asm.R1, asm.R7, "pass"),
		asm.LoadMem(asm.R1, asm.R6, 14+9, asm.Byte),
		asm.JNE.Imm(asm.R1, unix.IPPROTO_UDP, "pass"),
		asm.LoadMem(asm.R4, asm.R6, portAt, asm.Half),
		asm.HostTo(asm.BE, asm.R4, asm.Half),
		asm.Mov.Reg(asm.R2, asm.R8),
		asm.Mov.Imm(asm.R3, pass),
	}
	for i, m := range w.maps {
		next := fmt.Sprint("next", i)
		code = append(code,
			asm.JNE.Imm(asm.R4, firstPort+int32(i), next),
			asm.LoadMapPtr(asm.R1, m.FD()),
			asm.FnRedirectMap.Call(),
			asm.Return(),
			asm.Mov.Reg(asm.R0, asm.R0).WithSymbol(next),
		)
		code[len(code)-1] = asm.Mov.Imm(asm.R0, pass).WithSymbol(next)
	}
	return append(code, asm.Mov.Imm(asm.R0, pass).WithSymbol("pass"), asm.Return())
}

// in runs f where the interface is.
func (w *world) in(f func() error) {
	w.Helper()
	w.right.NS.Do(w, f)
}

// send sends n datagrams to the port of a map.
func (w *world) send(m, n int) {
	w.Helper()
	to := netip.AddrPortFrom(w.right.Addrs[0].Addr(), firstPort+uint16(m))
	for range n {
		if _, err := w.sender.WriteToUDPAddrPort([]byte("x"), to); err != nil {
			w.Fatal(err)
		}
	}
}

// open opens an engine in this process.
func (w *world) open(m *ebpf.Map) (e *Engine, err error) {
	w.Helper()
	w.in(func() error {
		e, _, err = OpenMapped(Options{}, []Map{{Ifindex: w.right.Index, FD: m.FD()}})
		return nil
	})
	return e, err
}

// whole wants no chunk to be lost while nothing comes: the kernel keeps one when it finds
// a ring full.
func (s *threads) whole() {
	s.t.Helper()
	if c := s.order("tell").Census; c.Missing > 1 || c.Twice != 0 || len(c.Seats) == 0 {
		s.t.Errorf("census: %v", c)
	}
}

// Which privileges it takes: exactly this one, and memory that may be locked.
func TestMapModeTakesOneCapability(t *testing.T) {
	w := newWorld(t)
	w.ownState()
	user := who{uid: nobodyUID, gid: nobodyUID, capabilities: []uintptr{unix.CAP_NET_RAW}, memlock: 8 << 20}
	p, first := w.start(0, user)
	if first.Err != "" {
		t.Fatal(first.Err)
	}
	if first.Capabilities != fmt.Sprintf("%016x", 1<<unix.CAP_NET_RAW) {
		t.Errorf("capabilities %s, want CAP_NET_RAW alone", first.Capabilities)
	}
	w.send(0, 5)
	p.wait(firstPort, 5)
	p.close()

	user.memlock = 1 << 20
	if _, refused := w.start(0, user); !strings.Contains(refused.Err, "RLIMIT_MEMLOCK") {
		t.Errorf("with 1 MiB to lock: %q", refused.Err)
	}
	user = who{uid: nobodyUID, gid: nobodyUID, memlock: 8 << 20}
	if _, refused := w.start(0, user); !strings.Contains(refused.Err, "CAP_NET_RAW") {
		t.Errorf("without capability: %q", refused.Err)
	}
}

// Beside a member that may make sockets it takes none.
func TestMapModeBorrowsItsSocket(t *testing.T) {
	w := newWorld(t)
	w.shareState()
	lender, first := w.start(0, root)
	if first.Err != "" {
		t.Fatal(first.Err)
	}
	guest, said := w.start(1, who{uid: nobodyUID, gid: sharedGID, memlock: 0})
	if said.Err != "" {
		t.Fatal(said.Err)
	}
	if said.Capabilities != strings.Repeat("0", 16) {
		t.Errorf("capabilities %s, want none", said.Capabilities)
	}
	w.send(0, 3)
	w.send(1, 4)
	lender.wait(firstPort, 3)
	guest.wait(firstPort+1, 4)
	lender.whole()
	if _, outside := w.start(1, who{uid: nobodyUID, gid: nobodyUID}); outside.Err == "" {
		t.Error("a user who has no part in the state directory got in")
	}
	lender.kill()
	w.send(1, 4)
	guest.wait(firstPort+1, 8)
	guest.whole()
}

// What a dead process had comes back: the others take its socket out of its map, and give its chunks
// back. It, too, may come back, with the same map.
func TestMapModeSurvivesDeaths(t *testing.T) {
	w := newWorld(t)
	first, hello := w.start(0, root)
	if hello.Err != "" {
		t.Fatal(hello.Err)
	}
	for range 3 {
		second, hello := w.start(1, root)
		if hello.Err != "" {
			t.Fatal(hello.Err)
		}
		w.send(1, 2)
		second.wait(firstPort+1, 2)
		second.order("sleep")
		w.send(1, 1000) // more than its ring
		second.kill()
		w.send(0, 3)
	}
	first.wait(firstPort, 9)
	first.whole()
	last, hello := w.start(1, root)
	if hello.Err != "" {
		t.Fatal(hello.Err)
	}
	w.send(1, 7)
	last.wait(firstPort+1, 7)
	first.kill() // who made the pool
	w.send(1, 7)
	last.wait(firstPort+1, 14)
	last.whole()
}

// A live process keeps its entry, and who wants it is told.
func TestMapModeEntryIsTaken(t *testing.T) {
	w := newWorld(t)
	first, hello := w.start(0, root)
	if hello.Err != "" {
		t.Fatal(hello.Err)
	}
	if _, second := w.start(0, root); !strings.Contains(second.Err, "has a socket for queue 0") {
		t.Errorf("a second process with the same map: %q", second.Err)
	}
	w.send(0, 3)
	first.wait(firstPort, 3)
	first.close()
	next, hello := w.start(0, root)
	if hello.Err != "" {
		t.Fatal(hello.Err)
	}
	w.send(0, 3)
	next.wait(firstPort, 3)
	next.whole()
}

// All queues of an interface are served, or none is, and nothing stays in a map that was too small.
func TestMapModeServesAllQueues(t *testing.T) {
	netnstest.CheckFDs(t)
	w := &world{T: t, right: netnstest.End{NS: netnstest.New(t), Name: "r0"}}
	t.Setenv(rundir.Env, t.TempDir())
	w.right.NS.Run(t, "ip", "link", "add", "r0", "numrxqueues", "4", "numtxqueues", "4", "type", "veth",
		"peer", "name", "l0", "numrxqueues", "4", "numtxqueues", "4")
	for _, name := range []string{"l0", "r0"} {
		w.right.NS.Run(t, "ip", "link", "set", name, "up")
	}
	w.in(func() error {
		i, err := net.InterfaceByName("r0")
		if err == nil {
			w.right.Index = i.Index
		}
		return err
	})
	small, large := w.newMap(2), w.newMap(4)
	if _, err := w.open(small); err == nil || !strings.Contains(err.Error(), "XSKMAP of 2 entries") {
		t.Errorf("a map of 2 entries: %v", err)
	}
	e, err := w.open(large)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(e.Queues()); n != 4 {
		t.Errorf("%d queues", n)
	}
	if e.Rules() != 0 {
		t.Errorf("%d rules", e.Rules())
	}
	e.Close()
	if e, err = w.open(large); err != nil { // nothing was left in it
		t.Fatal(err)
	}
	e.Close()
}

func TestMapModeHasNoKernelSockets(t *testing.T) {
	if _, _, err := OpenMapped(Options{Transmit: TransmitKernel}, nil); err == nil || !strings.Contains(err.Error(), "none in map mode") {
		t.Errorf("%v", err)
	}
}

// Programs and maps of both kinds cannot be mixed on an interface.
func TestMapModeOrClassifier(t *testing.T) {
	w := newWorld(t)
	if _, err := (kernel{}).Adopt(w.right.Index, dupAll(t, w.maps[0].FD())); err != errMapped {
		t.Errorf("the classifier's side: %v", err)
	}
	many := make([]int, 13)
	for i := range many {
		many[i] = w.maps[0].FD()
	}
	if _, err := (mapKernel{}).Adopt(w.right.Index, dupAll(t, many...)); err != errClassified {
		t.Errorf("the side of map mode: %v", err)
	}
}

func dupAll(t *testing.T, fds ...int) (copies []int) {
	t.Helper()
	for _, fd := range fds {
		c, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		copies = append(copies, c)
	}
	return copies
}
