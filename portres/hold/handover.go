// SPDX-License-Identifier: MIT

package hold

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Handover is what another process needs to stand at the same door.
type Handover struct {
	Owned bool  // the members belong to OwnerUID
	FDs   []int // the guard, where there is one
}

// Handover returns what to send to another process (SCM_RIGHTS). The descriptors
// stay the door's, and are good until Release. Whoever has the guard can open the
// port to strangers of the opener's user.
func (d *Door) Handover() Handover {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := Handover{Owned: d.owned}
	if d.guarded {
		h.FDs = []int{d.guard}
	}
	return h
}

// Adopt makes a door of what another process handed over, for a port that its
// members hold. It takes the descriptors over, and closes them if it fails. Of o
// it looks at Proto, Addr with its port, and NewSocket. The tier is proved anew, by
// probes of this process's user, which show less where the opener's is another.
//
// Errors say what is wrong with the descriptors, or what the kernel said.
func Adopt(o Options, h Handover) (*Door, error) {
	o.Members, o.Shared, o.Spares, o.Placeholder = 1, true, 0, nil
	o, err := o.checked()
	if err == nil {
		d := newDoor(o)
		if err = d.adopt(h); err == nil {
			return d, nil
		}
	}
	descriptors.CloseAll(h.FDs)
	return nil, err
}

func (d *Door) adopt(h Handover) (err error) {
	if d.o.Addr.Port() == 0 || len(h.FDs) > 1 {
		return kerr.New("adopt", fmt.Sprintf("%s, %d descriptors", d.o.Addr, len(h.FDs)), unix.EINVAL, "name the port, and hand over one guard at most")
	}
	d.owned = h.Owned
	if d.guarded = len(h.FDs) > 0; d.guarded {
		d.guard = h.FDs[0]
		if err := d.checkGuard(); err != nil {
			return err
		}
	}
	d.tier, err = d.prove()
	return err
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
