// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// visitTime bounds how long a newcomer goes round, for others want to the door, too.
const visitTime = time.Second / 2

// guest is a newcomer's side of a joining: a connection to one member.
type guest struct {
	conn     *net.UnixConn
	patience time.Duration // for the next answer
}

// visit calls use with one member of a port after the other, until it succeeds,
// and returns nil then. Else it returns why each of them failed: an empty list
// where there is none. If many do not answer, it does not ask all.
func visit(dir *rundir.Dir, port string, patience time.Duration, use func(*guest) error) (failures []error) {
	failures = []error{}
	names, err := brokers(dir, port)
	if err != nil {
		return []error{err}
	}
	start := time.Now()
	for _, name := range names {
		if time.Since(start) > visitTime {
			return append(failures, errSilent) // the others are for the next attempt
		}
		err := visitOne(dir.ShortPath(name), patience, use)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errNobody) {
			failures = append(failures, err)
		}
	}
	return failures
}

func visitOne(path string, patience time.Duration, use func(*guest) error) error {
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		os.Remove(path) // see startBroker: its process is dead
		return errNobody
	case errors.Is(err, unix.ENOENT):
		return errNobody
	case errors.Is(err, unix.EAGAIN): // too many wait for it
		return silent(err)
	case err != nil:
		return err
	}
	defer conn.Close()
	member, err := peerOf(conn)
	if err == nil {
		err = use(&guest{conn, patience})
	}
	if err != nil {
		return fmt.Errorf("process %d: %w", member.pid, err)
	}
	return nil
}

// ask returns the answer to one question. The descriptors are the caller's.
func (g *guest) ask(op uint16, count int) (a answer, fds []int, err error) {
	_ = g.conn.SetDeadline(time.Now().Add(g.patience))
	q := question{Magic: magic, Version: version, Op: op, Count: uint32(count)}
	if err = send(g.conn, q, nil); err == nil {
		fds, err = receive(g.conn, &a)
	}
	if err == nil {
		err = a.refusal()
	}
	if err != nil {
		descriptors.CloseAll(fds)
		return a, nil, err
	}
	return a, fds, nil
}
