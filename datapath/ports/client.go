// SPDX-License-Identifier: MIT

package ports

import (
	"sync"

	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// A client's socket is its claim: it is alone on its port, without SO_REUSEPORT.
// Only where MsQuic lets several client sockets of one process share a local port
// does the kernel need help to keep other processes of the user off it.

// ClientLease is a port on which client sockets of this process are.
type ClientLease struct {
	key   clientPort
	claim *portres.Claim
	users int
}

type clientPort struct {
	namespace uint64 // its cookie
	proto     rules.Proto
	port      uint16
}

var clients = struct {
	sync.Mutex
	leases map[clientPort]*ClientLease
}{leases: map[clientPort]*ClientLease{}}

// ShareClientPort claims a port for client sockets of this process that share it
// with each other, in the network namespace of the calling thread. Every call is
// ended by a [ClientLease.Release]. The refusals are those of [Acquire]. Where
// there is no state directory the lease is nil, which can be released too.
func ShareClientPort(proto rules.Proto, port uint16) (*ClientLease, error) {
	state, err := rundir.Open("")
	if err != nil {
		return nil, nil // the kernel alone keeps the port, as for a listener
	}
	defer state.Close()
	key := clientPort{state.Namespace().Cookie, proto, port}
	clients.Lock()
	defer clients.Unlock()
	lease := clients.leases[key]
	if lease == nil {
		claim, err := portres.Acquire(state, portres.Spec{Proto: proto, Port: port, Party: rules.Party{Kind: rules.Client}})
		if err != nil {
			return nil, err
		}
		lease = &ClientLease{key: key, claim: claim}
		clients.leases[key] = lease
	}
	lease.users++
	return lease, nil
}

// Release ends what one call of [ShareClientPort] began. The caller has closed
// its socket.
func (l *ClientLease) Release() {
	if l == nil {
		return
	}
	clients.Lock()
	defer clients.Unlock()
	l.users--
	if l.users == 0 {
		delete(clients.leases, l.key)
		_ = l.claim.Release() // closing the file, which this does, ends every lock
	}
}
