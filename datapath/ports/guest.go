// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/rundir"
)

// guest is a newcomer's side of a joining: a connection to one member.
type guest struct {
	conn *net.UnixConn
}

// errNoMember means that the port is shared, and no process that shares it answers.
var errNoMember = errors.New("no process that shares the port answers")

// visit calls use with one member after the other, until it succeeds. A member
// that does not answer, or that cannot give what is wanted, is passed over. The
// error is errNoMember too when all have left meanwhile.
func visit(dir *rundir.Dir, port string, use func(*guest) error) error {
	names, err := dir.Names()
	if err != nil {
		return err
	}
	var failures []error
	answered := false
	for _, name := range names {
		if !strings.HasPrefix(name, port+".") || !strings.HasSuffix(name, brokerSuffix) {
			continue
		}
		g, err := connect(dir.ShortPath(name))
		if err == nil {
			err = use(g)
			g.conn.Close()
		}
		if err == nil {
			return nil
		}
		failures = append(failures, err)
		answered = answered || !isGone(err)
	}
	if !answered {
		failures = append(failures, errNoMember)
	}
	return errors.Join(failures...)
}

// isGone reports whether an error says that the other process has left.
func isGone(err error) bool {
	for _, gone := range []error{io.EOF, unix.ECONNREFUSED, unix.ECONNRESET, unix.EPIPE, unix.ENOENT} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

func connect(path string) (*guest, error) {
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if errors.Is(err, unix.ECONNREFUSED) {
		os.Remove(path) // see newBroker: its process is dead
	}
	if err != nil {
		return nil, fmt.Errorf("a member of the port: %w", err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &guest{conn}, nil
}

// ask returns the answer to one question. The descriptors are the caller's.
func (g *guest) ask(op uint16, count int) (a answer, fds []int, err error) {
	q := question{Magic: magic, Version: version, Op: op, Count: uint32(count)}
	if err := send(g.conn, q, nil); err != nil {
		return a, nil, fmt.Errorf("a member of the port: %w", err)
	}
	fds, err = receive(g.conn, &a)
	if err != nil {
		return a, nil, fmt.Errorf("a member of the port does not answer: %w", err)
	}
	if a.Errno != 0 {
		closeAll(fds)
		return a, nil, &refusal{errno: unix.Errno(a.Errno), reason: text(a.Reason[:])}
	}
	return a, fds, nil
}

// refusal is a member's no.
type refusal struct {
	errno  unix.Errno
	reason string
}

func (r *refusal) Error() string { return "a member of the port refuses: " + r.reason }
func (r *refusal) Unwrap() error { return r.errno }

// text is a NUL padded string, without anything that a terminal would obey.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
