// SPDX-License-Identifier: MIT

package hold

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// OwnerUID is the user that sockets of the owned tier are given to. Nobody is
// it: systemd's table of users has 0x70000000..0x7FFDFFFF as unused, and
// directory services that derive numbers stay below. A user namespace that does
// not map it has no owned tier.
//
// What looks at the user of a socket (ip rule uidrange, ss) sees this one. What
// looks at who opened it (nftables skuid, iptables owner) does not.
const OwnerUID = 0x7FFD0000

// noInterface is the index of an interface that does not exist.
const noInterface = 0x7FFFFFFE

// Open binds sockets to a port that nobody has, and shuts it behind them in the
// strongest tier that privileges and kernel allow. It returns the members in
// order of bind, which is how a classic BPF program numbers them; the spares,
// where there are any, come behind.
//
// Errors: [InUse] where others have the port, or have come in meanwhile; else
// what the kernel or NewSocket said. Nothing is left open then.
func Open(o Options) (*Door, []int, error) {
	o, err := o.checked()
	if err != nil {
		if o.Placeholder != nil {
			o.Placeholder.Close()
		}
		return nil, nil, err
	}
	d := newDoor(o)
	members, err := d.open()
	if err != nil {
		descriptors.CloseAll(members)
		d.Release()
		return nil, nil, err
	}
	return d, members, nil
}

// open returns the members that it has bound even with an error.
func (d *Door) open() (members []int, err error) {
	if err := d.takePort(); err != nil {
		return nil, err
	}
	if d.sole = d.o.sole(); d.sole {
		members, d.guard = []int{d.guard}, -1
		if err := d.learn(members[0]); err != nil {
			return members, err
		}
		return members, d.shut(nil)
	}
	most := *d.o.Most
	d.owned = most >= rules.Owned && d.disown()
	if err := setReusePort(d.guard, 1); err != nil {
		return nil, err
	}
	if members, err = d.bindMembers(1); err != nil {
		return nil, err
	}
	// Not before a member is there: strangers of other users that are bound to an
	// interface would meet nobody.
	d.guarded = most >= rules.Guarded && !d.owned && d.stepAside()
	if !d.guarded {
		d.dropGuard()
	}
	more, err := d.bindMembers(d.o.Members - 1)
	members = append(members, more...)
	if err == nil && d.guarded {
		err = d.bindSpares()
	}
	if err == nil {
		err = d.shut(nil)
	}
	return members, err
}

// takePort makes the guard a socket that has the port alone.
func (d *Door) takePort() (err error) {
	if p := d.o.Placeholder; p != nil {
		d.guard = p.take()
		return d.remember(d.guard)
	}
	if d.guard, err = d.newSocket(); err != nil {
		return err
	}
	if err := d.bind(d.guard); err != nil {
		return err
	}
	_, local, err := shapeOf(d.guard)
	d.o.Addr = netip.AddrPortFrom(d.o.Addr.Addr(), local.Port())
	return err
}

// disown gives the first socket away, and reports whether that can be done. To
// try says more than to look at capabilities, user namespace and security policy.
func (d *Door) disown() bool {
	return unix.Fchown(d.guard, OwnerUID, -1) == nil
}

// stepAside takes the first socket out of the group and keeps it as the guard,
// where that can be done.
func (d *Door) stepAside() bool {
	return d.o.Proto == rules.UDP &&
		unix.SetsockoptInt(d.guard, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, noInterface) == nil
}
