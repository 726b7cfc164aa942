// SPDX-License-Identifier: MIT

package hold

import (
	"errors"
	"net/netip"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Options says what [Open] opens.
type Options struct {
	Proto   rules.Proto
	Addr    netip.AddrPort // where to bind; the zero value is [::]:0, and with port 0 the kernel chooses
	Members int            // how many sockets; one that is not shared stays without SO_REUSEPORT
	Shared  bool           // others will join, of this process or another
	Spares  int            // how many sockets to bind for others in the guarded tier, see [Door.TakeSpare]
	Most    *rules.Tier    // the strongest tier to try; nil is Owned

	// NewSocket makes an unbound socket, in the family that suits Addr. It sets
	// any option but SO_REUSEPORT and SO_REUSEADDR, which are the door's.
	NewSocket func() (int, error)

	// Placeholder holds the port until now, if there is one. Open takes it over,
	// and closes it if it fails.
	Placeholder *Placeholder
}

// checked returns o with its defaults filled in.
func (o Options) checked() (Options, error) {
	if !o.Addr.IsValid() {
		o.Addr = netip.AddrPortFrom(netip.IPv6Unspecified(), o.Addr.Port())
	}
	if o.Most == nil {
		o.Most = new(rules.Owned)
	}
	if p := o.Placeholder; p != nil && o.Addr.Port() == 0 {
		o.Addr = netip.AddrPortFrom(o.Addr.Addr(), p.addr.Port())
	}
	switch {
	case o.Proto != rules.UDP && o.Proto != rules.TCP:
		return o, errors.New("hold: protocol is neither UDP nor TCP")
	case o.NewSocket == nil:
		return o, errors.New("hold: no function that makes a socket")
	case o.Members < 1 || o.Spares < 0:
		return o, errors.New("hold: a port is held by at least one socket")
	case o.Placeholder != nil && (o.Placeholder.proto != o.Proto || o.Placeholder.addr.Port() != o.Addr.Port()):
		return o, errors.New("hold: the placeholder is of another port")
	}
	return o, nil
}

// sole says that one socket will do, without SO_REUSEPORT.
func (o Options) sole() bool {
	return o.Members == 1 && !o.Shared && o.Spares == 0 && o.Placeholder == nil && *o.Most == rules.Owned
}
