// SPDX-License-Identifier: MIT

package netns

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Pair is the namespaces of servers and clients.
type Pair struct{ Server, Client *Namespace }

// NewPair makes both, or none.
func NewPair() (p Pair, err error) {
	if p.Server, err = New(); err != nil {
		return Pair{}, err
	}
	if p.Client, err = New(); err != nil {
		p.Server.Close()
		return Pair{}, err
	}
	return p, nil
}

// Close lets both go.
func (p Pair) Close() {
	p.Server.Close()
	p.Client.Close()
}

// Connect makes a veth pair between them, with so many queues each way.
func (p Pair) Connect(server, client string, queues int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.NumRxQueues, attrs.NumTxQueues = server, queues, queues
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: client, PeerNamespace: netlink.NsFd(p.Client.fd),
		PeerNumRxQueues: uint32(queues), PeerNumTxQueues: uint32(queues)}
	return p.Server.Netlink(func(h *netlink.Handle) error {
		if err := h.LinkAdd(veth); err != nil {
			return fmt.Errorf("add the veth pair %s, %s: %w", server, client, err)
		}
		return nil
	})
}

// Configure gives both ends addresses, sets them up and waits until they are.
func (p Pair) Configure(server, client string, serverAddrs, clientAddrs []netip.Prefix) error {
	if err := p.Server.Configure(server, serverAddrs); err != nil {
		return err
	}
	if err := p.Client.Configure(client, clientAddrs); err != nil {
		return err
	}
	return errors.Join(p.Server.WaitUp(server), p.Client.WaitUp(client))
}
