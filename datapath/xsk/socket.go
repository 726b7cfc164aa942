// SPDX-License-Identifier: MIT

package xsk

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Socket is an AF_XDP socket, bound to a queue, with its rings mapped.
//
// The rings and Transmit may be used by one thread each, the shared rings made from
// Fill and Completion by any; [Socket.Close] comes last.
type Socket struct {
	RX         *Consumer[Desc] // nil where the socket has none
	TX         *Producer[Desc] // nil where the socket has none
	Fill       *Ring[uint64]   // of the queue: for [NewSharedFill]
	Completion *Ring[uint64]   // of the queue: for [NewSharedCompletion]

	fd int
}

// Create makes the first socket of a queue, with umem as the queue's UMEM and FILL
// empty.
//
// Errors: [ErrBusy] where the queue has a UMEM, [ErrPermission], [ErrNoQueue],
// [UnsupportedError].
func Create(umem *UMEM, mode Mode, c Config) (*Socket, error) {
	if err := umem.check(); err != nil {
		return nil, err
	}
	if mode > ModeZeroCopy {
		return nil, fmt.Errorf("xsk: no mode %d", mode)
	}
	return open(&c, func(s *Socket) error {
		if err := umem.register(s); err != nil {
			return err
		}
		err := s.size(&c, unix.XDP_UMEM_FILL_RING, c.Fill)
		if err == nil {
			err = s.size(&c, unix.XDP_UMEM_COMPLETION_RING, c.Completion)
		}
		if err != nil {
			return err
		}
		return s.bind(&c, &unix.SockaddrXDP{Flags: unix.XDP_USE_NEED_WAKEUP | modeFlags[mode]})
	})
}

// Join makes one more socket of a queue, beside donor, the descriptor of any bound
// socket of the same queue, which is not needed once Join has returned.
//
// Errors: those of [Create]; [ErrNoQueue] also where donor is of another queue.
func Join(donor int, c Config) (*Socket, error) {
	return open(&c, func(s *Socket) error {
		return s.bind(&c, &unix.SockaddrXDP{Flags: unix.XDP_SHARED_UMEM, SharedUmemFD: uint32(donor)})
	})
}

// Adopt makes a Socket of the descriptor of one that another process has made by [Join],
// of the same queue and sizes, and handed over. The descriptor belongs to it, and Adopt closes it
// when it fails. No privilege is needed.
func Adopt(fd int, c Config) (*Socket, error) {
	s := &Socket{fd: fd}
	err := c.check()
	if err == nil {
		err = s.mapRings(&c)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open makes a socket with its own rings, lets bind bind it, and maps the rings,
// which has to come last: FILL and COMPLETION are those of the queue then.
func open(c *Config, bind func(*Socket) error) (*Socket, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s, err := newSocket()
	if err != nil {
		return nil, err
	}
	if err := s.setUp(c, bind); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func newSocket() (*Socket, error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, openError(err)
	}
	return &Socket{fd: fd}, nil
}

func (s *Socket) setUp(c *Config, bind func(*Socket) error) error {
	if err := s.size(c, unix.XDP_RX_RING, c.RX); err != nil {
		return err
	}
	if err := s.size(c, unix.XDP_TX_RING, c.TX); err != nil {
		return err
	}
	if err := s.setBudget(c.TXBudget); err != nil {
		return err
	}
	if err := bind(s); err != nil {
		return err
	}
	return s.mapRings(c)
}

// size asks for a ring.
func (s *Socket) size(c *Config, ring int, entries uint32) error {
	if entries == 0 {
		return nil
	}
	err := setsockopt(s.fd, ring, unsafe.Pointer(&entries), unsafe.Sizeof(entries))
	if err == 0 {
		return nil
	}
	return kerr.New("setsockopt", fmt.Sprintf("ring %d of %d entries, %s", ring, entries, c), err, "ask for a smaller ring")
}

// bind binds the socket, and tries again while the queue is being released: there is
// no event to wait for.
func (s *Socket) bind(c *Config, addr *unix.SockaddrXDP) error {
	addr.Ifindex, addr.QueueID = uint32(c.Interface), c.Queue
	for deadline := time.Now().Add(c.Patience); ; time.Sleep(bindInterval) {
		err := unix.Bind(s.fd, addr)
		if err == nil {
			return nil
		}
		if err != unix.EBUSY || time.Now().After(deadline) {
			return bindError(c, addr.Flags, err)
		}
	}
}

const bindInterval = time.Millisecond

// FD returns the descriptor, which the socket keeps.
func (s *Socket) FD() int { return s.fd }

// Close unmaps the rings and closes the socket; a second call does nothing. Where it
// is the last descriptor of a bound socket it takes some 10 ms, in which the kernel
// waits until no processor uses it any more: not for a data thread.
func (s *Socket) Close() error {
	if s.fd < 0 {
		return nil
	}
	err := errors.Join(s.unmapRings(), kerr.New("close", fmt.Sprintf("AF_XDP socket %d", s.fd), unix.Close(s.fd), ""))
	s.fd = -1
	return err
}
