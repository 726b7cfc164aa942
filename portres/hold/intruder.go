// SPDX-License-Identifier: MIT

package hold

import (
	"slices"

	"github.com/msquicxdp/msquicxdp/internal/sockdiag"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Intruders returns the strangers that get some of the port's datagrams now:
// those that the holes of the guarded and of the unguarded tier let in. Call it
// as often as that matters; the kernel tells nobody when one comes.
//
// A guard is none: it receives nothing. On a shared port a socket that is bound
// exactly like the members passes for the member of another process; it can have
// come in only where the port is unguarded.
//
// Errors are those of sock_diag.
func (d *Door) Intruders() ([]rules.Party, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	others, err := d.others()
	return parties(slices.DeleteFunc(others, func(s sockdiag.Socket) bool {
		return s.Device == noInterface || d.o.Shared && shapeOfFound(s) == d.shape
	})), err
}

// others returns the sockets at the members' address that the door has not made.
func (d *Door) others() ([]sockdiag.Socket, error) {
	found, err := sockdiag.Find(uint8(d.o.Proto), d.o.Addr.Port())
	return slices.DeleteFunc(found, func(s sockdiag.Socket) bool {
		return d.own[s.Cookie] || !d.shape.overlaps(shapeOfFound(s))
	}), err
}

// entered returns those of the others that were not there before.
func (d *Door) entered(before []sockdiag.Socket) ([]sockdiag.Socket, error) {
	others, err := d.others()
	return slices.DeleteFunc(others, func(s sockdiag.Socket) bool {
		return slices.ContainsFunc(before, func(b sockdiag.Socket) bool { return b.Cookie == s.Cookie })
	}), err
}

func (d *Door) inUse(by []sockdiag.Socket) *InUse {
	return &InUse{Proto: d.o.Proto, Addr: d.o.Addr, Holders: parties(by)}
}
