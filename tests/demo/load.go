// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"errors"

	"github.com/msquicxdp/msquicxdp/internal/netns"
)

// Load is for tests that start servers of the demo for themselves, in namespaces of their own
// whose interfaces have the demo's addresses, and load them with QUIC.
type Load struct {
	stage stage
}

// Port is where the servers listen.
const Port = port

// NewLoad makes a certificate in dir. Connections come out of the namespace.
func NewLoad(dir string, from *netns.Namespace) (*Load, error) {
	cert, err := newCertificate(dir)
	if err != nil {
		return nil, err
	}
	clients := &clients{ns: from, tls: cert.client}
	return &Load{stage{cert: cert, secret: newSecret(), clients: clients}}, nil
}

// Arguments are those of a server with an identifier, see server/main.c.
func (l *Load) Arguments(identifier []byte, xdp bool) []string {
	return l.stage.arguments(spec{identifier: identifier, workers: 1, xdp: xdp})
}

// Exchange makes a connection to the server with an identifier, over IPv4 or IPv6, has a stream
// echoed, and checks every byte. It returns how many that were, in both directions together.
func (l *Load) Exchange(ctx context.Context, identifier []byte, v6 bool, length int64) (int64, error) {
	f := families[0]
	if v6 {
		f = families[1]
	}
	return l.stage.clients.perform(ctx, f, spec{identifier: identifier}, echo(length))
}

// IsWrong reports whether an error of Exchange tells of what must never be: another server has
// answered, or other bytes came. Else the server is dead, or cannot be reached.
func IsWrong(err error) bool { return errors.Is(err, errMisrouted) || errors.Is(err, errWrongBytes) }
