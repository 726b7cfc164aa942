// SPDX-License-Identifier: MIT

package hold

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Handover is what another process needs to stand at the same door.
type Handover struct {
	Owned bool // members belong to OwnerUID
	Guard int  // descriptor of the guard, or -1
}

// Handover returns what to tell another process. The guard stays the door's: it
// is good for sending (SCM_RIGHTS) until Release. Whoever has it can open the
// port to strangers of the opener's user.
func (d *Door) Handover() Handover {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Handover{Owned: d.owned, Guard: d.guard}
}

// Adopt makes a door of what another process handed over, for a port that its
// members hold. It takes the guard over, and closes it if it fails. Of o it looks
// at Proto, Addr with its port, Shared and NewSocket.
//
// Errors say what is wrong with the guard, or what the kernel said.
func Adopt(o Options, h Handover) (*Door, error) {
	o.Members, o.Shared, o.Spares, o.Placeholder = 1, true, 0, nil
	o, err := o.checked()
	d := newDoor(o)
	d.owned, d.guarded, d.guard = h.Owned, h.Guard >= 0, h.Guard
	if err == nil && o.Addr.Port() == 0 {
		err = kerr.New("adopt", o.Addr.String(), unix.EINVAL, "name the port")
	}
	if err == nil && d.guarded {
		err = d.checkGuard()
	}
	if err == nil {
		d.tier, err = d.prove()
	}
	if err != nil {
		d.Release()
		return nil, err
	}
	return d, nil
}

// checkGuard refuses a descriptor that is anything else than a guard of the port.
func (d *Door) checkGuard() error {
	shape, local, err := shapeOf(d.guard)
	if err != nil {
		return err
	}
	proto, err := protoOf(d.guard)
	if err != nil {
		return err
	}
	if proto != d.o.Proto || local.Port() != d.o.Addr.Port() || shape.device != noInterface {
		return fmt.Errorf("adopt: descriptor %d is no guard of %s port %d, but a %s socket at %s on interface %d",
			d.guard, d.o.Proto, d.o.Addr.Port(), proto, local, shape.device)
	}
	return d.remember(d.guard)
}
