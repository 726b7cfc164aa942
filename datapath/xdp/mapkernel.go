// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// mapKernel stands for an application with XDP programs of its own: for package pool
// the program of an interface is the application's map.
type mapKernel []Map

// Attach implements [pool.Kernel], and attaches nothing.
func (k mapKernel) Attach(ifindex int) (pool.Program, error) {
	for _, m := range k {
		if m.Ifindex == ifindex {
			return newMapProgram(m)
		}
	}
	return nil, fmt.Errorf("no map for interface %d", ifindex) // which nobody asks for
}

// Adopt implements [pool.Kernel]. The map of another member is its own; it only says that
// the interface is in map mode.
func (k mapKernel) Adopt(ifindex int, fds []int) (pool.Program, error) {
	descriptors.CloseAll(fds)
	if len(fds) != 1 {
		return nil, errClassified
	}
	return k.Attach(ifindex)
}

// errClassified says that an interface belongs to us.
var errClassified = errors.New("other datapaths use it with the XDP program of msquicxdp; an interface is in map mode for all, or for none")

// MapTakenError says that the entry of a queue is somebody else's: an XSKMAP holds one
// socket for each.
type MapTakenError struct {
	Ifindex int
	Queue   uint32
}

// Error implements error.
func (e *MapTakenError) Error() string {
	return fmt.Sprintf("the XSKMAP for interface %d has a socket for queue %d, which is another datapath's, interface's or program's: give each datapath a map of its own for each interface", e.Ifindex, e.Queue)
}

// Unwrap lets errors.Is compare with the errno.
func (e *MapTakenError) Unwrap() error { return unix.EEXIST }

// mapProgram is a map of the application's as package pool knows it. It implements
// [pool.Scattered].
type mapProgram struct {
	ifindex int
	sockets *ebpf.Map
	id      ebpf.MapID

	mu  sync.Mutex
	own map[uint32]bool // queues whose entry is ours
}

// newMapProgram keeps a copy of the application's descriptor.
func newMapProgram(m Map) (*mapProgram, error) {
	what := "XSKMAP, descriptor " + strconv.Itoa(m.FD)
	fd, err := unix.FcntlInt(uintptr(m.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, kerr.New("fcntl", "F_DUPFD_CLOEXEC, "+what, err, "the configuration takes an open descriptor of an XSKMAP")
	}
	sockets, id, err := openMap(fd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return &mapProgram{ifindex: m.Ifindex, sockets: sockets, id: id, own: map[uint32]bool{}}, nil
}

// openMap makes a map of a descriptor, which belongs to it, and closes it when it fails.
func openMap(fd int) (*ebpf.Map, ebpf.MapID, error) {
	m, err := ebpf.NewMapFromFD(fd)
	if err != nil {
		return nil, 0, err
	}
	if m.Type() != ebpf.XSKMap {
		err = fmt.Errorf("a map of type %v, where an XSKMAP is due", m.Type())
		return nil, 0, errors.Join(err, m.Close())
	}
	info, err := m.Info()
	if err != nil {
		return nil, 0, errors.Join(err, m.Close())
	}
	id, _ := info.ID()
	return m, id, nil
}

// PutSocket implements [pool.Program]. The slot is of no importance: a map is of one member.
func (p *mapProgram) PutSocket(_, queue uint32, socket int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.sockets.Update(queue, uint32(socket), ebpf.UpdateNoExist)
	switch {
	case errors.Is(err, ebpf.ErrKeyExist):
		return &MapTakenError{Ifindex: p.ifindex, Queue: queue}
	case err != nil:
		return kerr.New("bpf", fmt.Sprintf("BPF_MAP_UPDATE_ELEM of queue %d in an XSKMAP of %d entries for interface %d", queue, p.sockets.MaxEntries(), p.ifindex),
			err, "it must be writable, and have an entry for each queue")
	}
	p.own[queue] = true
	return nil
}

// DeleteSocket implements [pool.Program], and leaves alone what this member has not put there.
func (p *mapProgram) DeleteSocket(_, queue uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.own[queue] {
		return nil
	}
	delete(p.own, queue)
	return deleteEntry(p.sockets, queue)
}

func deleteEntry(m *ebpf.Map, queue uint32) error {
	err := m.Delete(queue)
	if err == nil || errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return kerr.New("bpf", fmt.Sprintf("BPF_MAP_DELETE_ELEM of queue %d in an XSKMAP", queue), err, "")
}

// ClearSlot implements [pool.Program]: there are no rules.
func (*mapProgram) ClearSlot(uint32) error { return nil }

// FDs implements [pool.Program].
func (p *mapProgram) FDs() []int { return []int{p.sockets.FD()} }

// Close implements [pool.Program].
func (p *mapProgram) Close() error { return p.sockets.Close() }

// Own implements [pool.Scattered].
func (p *mapProgram) Own() int { return p.sockets.FD() }

// IsOwn implements [pool.Scattered].
func (p *mapProgram) IsOwn(fd int) bool {
	m, id, err := openCopy(fd)
	if err != nil {
		return false
	}
	m.Close()
	return id == p.id
}

// DeleteOther implements [pool.Scattered].
func (p *mapProgram) DeleteOther(fd int, queue uint32) error {
	m, _, err := openCopy(fd)
	if err != nil {
		return err
	}
	return errors.Join(deleteEntry(m, queue), m.Close())
}

// openCopy makes a map of a descriptor that stays another's.
func openCopy(fd int) (*ebpf.Map, ebpf.MapID, error) {
	c, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, 0, err
	}
	return openMap(c)
}
