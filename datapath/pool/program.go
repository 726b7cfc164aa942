// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"fmt"

	"github.com/msquicxdp/msquicxdp/rundir"
)

// program is the XDP program of an interface, which a member has open as long as it is
// in a pool there.
type program struct {
	Program
	ifindex int
	file    *rundir.File // which has the lock that says so
	pools   int
}

// acquire makes the program of an interface, or adopts it. Each is ended by a release.
func (m *Member) acquire(ifindex int) (*program, error) {
	if p := m.programs[ifindex]; p != nil { // only Join and Leave change the map
		p.pools++
		return p, nil
	}
	file, err := enter(m.dir, fmt.Sprintf("xdp-%d", ifindex))
	if err != nil {
		return nil, err
	}
	p := &program{ifindex: ifindex, file: file, pools: 1}
	if err := m.obtain(p); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	m.mu.Lock()
	m.programs[ifindex] = p
	m.mu.Unlock()
	return p, leave(file)
}

// obtain runs at the door of the interface.
func (m *Member) obtain(p *program) error {
	err := m.attach(p)
	if err != nil {
		return err
	}
	// What a dead one had in our slot is ours to clear, since we have its lock.
	err = p.ClearSlot(m.slot)
	if err == nil {
		_, err = p.file.TryShare(programAt, 1)
	}
	if err != nil {
		return errors.Join(err, p.Close())
	}
	return nil
}

// attach adopts the program of others, or makes it; also when the last of them leaves
// meanwhile.
func (m *Member) attach(p *program) error {
	t := topic{Ifindex: uint32(p.ifindex)}
	return until(queuePatience, t.String(), func() (bool, error) {
		_, held, err := p.file.Held(programAt, 1, true)
		if err != nil {
			return false, err
		}
		if !held {
			p.Program, err = m.kernel.Attach(p.ifindex)
			return true, err
		}
		a, err := m.find(t)
		if err == nil {
			p.Program, err = m.kernel.Adopt(p.ifindex, a.fds)
			return true, err
		}
		return false, unlessNobody(err)
	})
}

// release ends what acquire began.
func (m *Member) release(p *program) error {
	if p == nil {
		return nil
	}
	if p.pools--; p.pools > 0 {
		return nil
	}
	m.mu.Lock()
	delete(m.programs, p.ifindex)
	m.mu.Unlock()
	return errors.Join(p.Close(), p.file.Close())
}
