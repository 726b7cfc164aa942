// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A process that may not tell the kernel what to do finds its neighbours too.
func TestWithoutPrivilege(t *testing.T) {
	tab := newTable(t, TableOptions{})
	before := runtime.NumGoroutine()
	var made *Table
	tab.ns.Do(t, func() (err error) {
		if err := dropNetAdmin(); err != nil { // of this thread, which ends
			return err
		}
		made, err = NewTable(TableOptions{})
		return err
	})
	t.Cleanup(func() {
		made.Close()
		wantNoMoreGoroutines(t, before)
	})
	poor := &table{Table: made, host: tab.host, t: t}
	for _, f := range families {
		q := poor.to(f.peer)
		if a := poor.Resolve(q); a.State != Pending {
			t.Fatalf("%s: %+v", f.name, a)
		}
		found := poor.await(q)
		if found.State != Known || found.MAC != macOf(t, tab.aFar) {
			t.Errorf("%s: %+v", f.name, found)
		}
		if a := poor.Reverify(q, found.MAC); a.State != Pending {
			t.Errorf("%s: %+v", f.name, a)
		}
		if a := poor.await(q); a.State != Known {
			t.Errorf("%s: %+v", f.name, a)
		}
		if a := poor.resolve(poor.to(f.absent)); !errors.Is(a.Err, ErrNeighbour) {
			t.Errorf("%s: %+v", f.name, a)
		}
	}
}

func dropNetAdmin() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return err
	}
	caps[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	caps[0].Permitted &^= 1 << unix.CAP_NET_ADMIN
	return unix.Capset(&header, &caps[0])
}

// Two sockets more, and only then.
func TestKnockerOnlyWhereNeeded(t *testing.T) {
	h := newHost(t)
	h.ns.Do(t, func() error {
		return withConn(func(c *conn) error {
			k, err := newKnocker(c)
			if err == nil && len(k.sockets) != 0 {
				t.Errorf("privileged: %v", k.sockets)
			}
			return errors.Join(err, dropNetAdmin())
		})
	})
}
