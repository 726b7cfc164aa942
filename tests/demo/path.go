// SPDX-License-Identifier: MIT

package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Path says how the servers are to receive and send.
type Path string

const (
	Kernel Path = "kernel" // by kernel sockets
	XDP    Path = "xdp"    // by AF_XDP, on one queue, both ways
	Mixed  Path = "mixed"  // the first as its datapath does on AF_XDP, the other by kernel sockets
)

// Paths are those that there are.
var Paths = []Path{Kernel, XDP, Mixed}

// ParsePath returns the path that has this name.
func ParsePath(name string) (Path, error) {
	if p := Path(name); slices.Contains(Paths, p) {
		return p, nil
	}
	return "", fmt.Errorf("path %q: there are %v", name, Paths)
}

// title says it to people.
func (p Path) title() string {
	switch p {
	case XDP:
		return "two servers on AF_XDP, both ways, on one queue of a veth pair between two network namespaces"
	case Mixed:
		return "a server on AF_XDP and one on kernel sockets, at a veth pair between two network namespaces"
	}
	return "two servers on kernel sockets, at a veth pair between two network namespaces"
}

// asks reports whether a server asks for AF_XDP.
func (p Path) asks(server int) bool { return p == XDP || p == Mixed && server == 0 }

// xdpServers is how many there are by AF_XDP.
func (p Path) xdpServers() (n int) {
	for i := range identifiers {
		if p.asks(i) {
			n++
		}
	}
	return n
}

// ErrUnavailable says that AF_XDP cannot be had here: the first server that asked got
// kernel sockets alone. What wraps it says why.
var ErrUnavailable = errors.New("AF_XDP cannot be had here")

// checkXDP makes sure that a server which asks for AF_XDP has got it.
func (s *show) checkXDP(ctx context.Context, srv *server) error {
	if !srv.xdp {
		return nil
	}
	reason, err := srv.whyKernel(ctx)
	switch {
	case err != nil:
		return err
	case reason == "":
		s.hadXDP = true
		return nil
	case s.hadXDP:
		return fmt.Errorf("server %s did not get AF_XDP, which can be had: %s", srv.name(), reason)
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, reason)
}

// whyKernel returns why the server has not got AF_XDP, and ends it; nothing if it has.
func (s *server) whyKernel(ctx context.Context) (string, error) {
	report, err := s.report(ctx)
	if err != nil || report.Path == string(XDP) {
		return "", err
	}
	err = s.stop() // it has told all then
	const begin = "the socket works over the kernel: "
	messages := s.messages.String()
	if _, reason, ok := strings.Cut(messages, begin); ok {
		messages = reason
	}
	return cmp.Or(strings.TrimSpace(messages), "no reason is told"), err
}
