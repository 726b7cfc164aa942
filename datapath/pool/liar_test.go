// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// liar has the locks of a member in the pool of queue 0, listens as one, and answers what it
// likes.
type liar struct {
	w      *wire
	dir    *rundir.Dir
	files  []*rundir.File
	accept *listener
	answer func(conn *net.UnixConn, in *message)
	mu     sync.Mutex
	conns  []*net.UnixConn
	work   sync.WaitGroup
}

// lie opens a liar. Its answer is called for every message that comes.
func (w *wire) lie(answer func(conn *net.UnixConn, in *message)) *liar {
	w.Helper()
	l := &liar{w: w, answer: answer}
	var err error
	w.in(func() error {
		l.dir, err = rundir.Open(w.base)
		return err
	})
	l.lock("xdp", slotAt+5)
	l.lock(fmt.Sprintf("xdp-%d-0", w.right.Index), seatAt)
	if l.accept, err = listen(l.dir, 5); err != nil {
		w.Fatal(err)
	}
	l.work.Go(func() {
		for {
			conn, err := l.accept.AcceptUnix()
			if err != nil {
				return
			}
			l.talk(conn)
		}
	})
	return l
}

func (l *liar) lock(name string, at int64) {
	l.w.Helper()
	f, err := l.dir.OpenFile(name)
	if err != nil {
		l.w.Fatal(err)
	}
	l.files = append(l.files, f)
	if ok, err := f.TryLock(at, 1); !ok || err != nil {
		l.w.Fatal(name, at, ok, err)
	}
}

// talk answers one member.
func (l *liar) talk(conn *net.UnixConn) {
	l.mu.Lock()
	l.conns = append(l.conns, conn)
	l.mu.Unlock()
	l.work.Go(func() {
		for {
			in, fds, err := receive(conn)
			descriptors.CloseAll(fds)
			if err != nil {
				return
			}
			l.answer(conn, in)
		}
	})
}

// end ends it as a kill does.
func (l *liar) end() {
	l.accept.UnixListener.Close()
	l.mu.Lock()
	for _, conn := range l.conns {
		conn.Close()
	}
	l.mu.Unlock()
	l.work.Wait()
	for _, f := range l.files {
		f.Close()
	}
	l.dir.Close()
}

// offer is an answer to hand: a pool as it should be, with parts to make wrong.
type offer struct {
	message
	fds []int
}

// say answers questions: yes to who, and with an offer to hand.
func say(make func(*offer)) func(*net.UnixConn, *message) {
	return func(conn *net.UnixConn, in *message) {
		if in.Topic.Pool == 0 || in.Kind != who && in.Kind != hand {
			return
		}
		o := offer{message: message{Kind: reply, ID: in.ID, Found: 1}}
		if in.Kind == hand {
			o.Shape = geometry{Members: 4, Ring: 64, Send: 64, Receive: 4*64 + 128}
			o.Count, o.Seats[0] = 1, seatOf{0, tenure(0).next().of(5)}
			o.fds = []int{memfd("packets", int(o.Shape.chunks())*chunkSize), memfd("control", controlSize(&o.Shape)), memfd("socket", 4096)}
			make(&o)
		}
		_ = send(conn, &o.message, o.fds)
		descriptors.CloseAll(o.fds)
	}
}

// memfd is memory as a member makes it.
func memfd(name string, size int) int {
	m, err := newMemory(name, size)
	if err != nil {
		panic(err)
	}
	fd, err := unix.FcntlInt(uintptr(m.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err = errors.Join(err, m.close()); err != nil {
		panic(err)
	}
	return fd
}

// unsealed is memory that somebody can take away.
func unsealed(size int) int {
	fd, err := unix.MemfdCreate("unsealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err == nil {
		err = unix.Ftruncate(fd, int64(size))
	}
	if err != nil {
		panic(err)
	}
	return fd
}

// null is no memory at all.
func null() int {
	fd, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	return fd
}
