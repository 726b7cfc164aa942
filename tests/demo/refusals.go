// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Refusal is somebody who wanted the port, and why he did not get it.
type Refusal struct {
	Who, Reason string
}

// refusals has those ask for the port who may not have it.
func (s *show) refusals(ctx context.Context) error {
	s.say("a taken identifier, none, and foreign programs are refused")
	taken := s.servers[0].spec
	for _, other := range []struct {
		who  string
		spec spec
	}{
		{"a third server, with identifier " + taken.name(), taken},
		{"a server without an identifier", spec{workers: s.Workers}},
	} {
		reason, err := s.refused(ctx, other.spec)
		if err != nil {
			return fmt.Errorf("%s: %w", other.who, err)
		}
		s.summary.Refusals = append(s.summary.Refusals, Refusal{other.who, reason})
	}
	for reuse, who := range []string{"a foreign program", "a foreign program, with SO_REUSEPORT"} {
		err := s.net.Server.Do(func() error { return bind(ctx, reuse) })
		if !errors.Is(err, unix.EADDRINUSE) {
			return fmt.Errorf("%s: bind: %v, want %w", who, err, unix.EADDRINUSE)
		}
		s.summary.Refusals = append(s.summary.Refusals, Refusal{who, err.Error()})
	}
	return nil
}

// refused starts a server that must not get the port, and returns the reason
// that the datapath gives it. It must name one of those who have the port.
func (s *show) refused(ctx context.Context, sp spec) (string, error) {
	srv, err := s.launch(sp)
	if err != nil {
		return "", err
	}
	if _, err := srv.line(ctx); err == nil || ctx.Err() != nil {
		return "", errors.Join(errors.New("it has not been refused"), context.Cause(ctx), srv.kill())
	}
	_, reason, _ := strings.Cut(srv.messages.String(), ": socket: ")
	for _, holder := range s.servers {
		if strings.Contains(reason, fmt.Sprintf("identifier %s (pid %d,", holder.name(), holder.cmd.Process.Pid)) {
			return strings.TrimSpace(reason), nil
		}
	}
	return "", srv.failure(errors.New("the reason names nobody who has the port"))
}

// bind binds a socket to the port, as any program would.
func bind(ctx context.Context, reuse int) error {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlled := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, reuse)
		})
		return errors.Join(controlled, err)
	}}
	conn, err := config.ListenPacket(ctx, "udp", fmt.Sprintf(":%d", port))
	if err != nil {
		return err
	}
	return conn.Close()
}
