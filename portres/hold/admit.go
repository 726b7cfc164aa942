// SPDX-License-Identifier: MIT

package hold

import (
	"errors"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/sockdiag"
)

// ErrSole says that nobody can join a socket that was opened to be alone.
var ErrSole = errors.New("the port was opened for one socket: open it shared, or with more members")

// Admit lets n more members in. Spares are taken first, for they are in. In the
// guarded tier the rest opens the port for a moment, and whoever of the same user
// waited for it gets in: then the new members are closed, and the error is an
// [InUse] that names the intruders.
//
// Other errors: [ErrSole]; [InUse] where the members are of another user, whom
// only a spare lets in; fchown's EPERM in the owned tier without CAP_CHOWN; and
// those of [Open].
func (d *Door) Admit(n int) ([]int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sole {
		return nil, ErrSole
	}
	fromSpares := min(n, len(d.spares))
	fds, err := d.bindMore(n - fromSpares)
	if err != nil {
		return nil, err
	}
	for range fromSpares {
		fd, err := d.takeSpare()
		if err != nil {
			descriptors.CloseAll(fds)
			return nil, err
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// bindMore opens the port, binds, and shuts it.
func (d *Door) bindMore(n int) (fds []int, err error) {
	if n <= 0 {
		return nil, nil
	}
	var before []sockdiag.Socket
	if !d.owned {
		before, _ = d.others() // if that fails, so does the look afterwards
	}
	if d.guarded {
		if err := setReusePort(d.guard, 1); err != nil {
			return nil, err
		}
	}
	fds, bindErr := d.bindMembers(n)
	if err := errors.Join(bindErr, d.shut(before)); err != nil {
		descriptors.CloseAll(fds)
		return nil, err
	}
	return fds, nil
}
