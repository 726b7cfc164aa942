// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

const nobody = 65534

// become changes the user of the calling thread only, which must end afterwards.
func become(uid uintptr) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		return fmt.Errorf("setresuid: %w", errno)
	}
	return nil
}

// limitTo leaves the calling thread these capabilities only.
func limitTo(capabilities ...int) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	for _, c := range capabilities {
		data[c/32].Effective |= 1 << (c % 32)
		data[c/32].Permitted |= 1 << (c % 32)
	}
	return unix.Capset(&header, &data[0])
}

func TestPrivileges(t *testing.T) {
	w := newWire(t)
	for _, test := range []struct {
		name      string
		drop      func() error
		available bool
	}{
		{"nobody", func() error { return become(nobody) }, false},
		{"root without capabilities", func() error { return limitTo() }, false},
		{"without CAP_PERFMON", func() error { return limitTo(unix.CAP_BPF, unix.CAP_NET_ADMIN) }, false},
		{"without CAP_NET_ADMIN", func() error { return limitTo(unix.CAP_BPF, unix.CAP_PERFMON) }, false},
		{"without CAP_BPF", func() error { return limitTo(unix.CAP_NET_ADMIN, unix.CAP_PERFMON) }, false},
		{"all that it takes", func() error { return limitTo(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON) }, true},
		{"CAP_SYS_ADMIN", func() error { return limitTo(unix.CAP_SYS_ADMIN) }, true},
	} {
		w.right.NS.Do(t, func() error {
			if err := test.drop(); err != nil {
				return err
			}
			c, err := Load(Options{})
			if !test.available {
				wantUnavailable(t, test.name, err)
				return nil
			}
			if err == nil {
				_, err = c.Attach(w.right.Index, AnyMode)
				err = errors.Join(err, c.Close())
			}
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			return nil
		})
		w.wantOff()
	}
}

func wantUnavailable(t *testing.T, name string, err error) {
	t.Helper()
	var missing *UnavailableError
	if !errors.Is(err, ErrUnavailable) || !errors.As(err, &missing) {
		t.Errorf("%s: %v", name, err)
	} else if !strings.Contains(missing.Need, "CAP_PERFMON") || !strings.Contains(err.Error(), missing.Need) {
		t.Errorf("%s: %v does not say what is missing", name, err)
	}
}

// A process that may not look at what belongs to others learns at least the number of a foreign program.
func TestForeignProgramHasANumberForAll(t *testing.T) {
	w := newWire(t)
	c := newClassifier(t, Options{})
	p := passing(t, "somebody_elses")
	w.right.NS.Do(t, func() error {
		if err := w.put(p, unix.XDP_FLAGS_DRV_MODE); err != nil {
			return err
		}
		if err := limitTo(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON); err != nil {
			return err
		}
		_, err := c.Attach(w.right.Index, AnyMode)
		var o *OccupiedError
		if !errors.As(err, &o) || o.Program != w.on().program || o.Program == 0 || o.Name != "" || o.Ours() {
			t.Errorf("%v", err)
		}
		wantError(t, err, unix.EBUSY, "of unknown name")
		return nil
	})
}

// A process without any privilege can do everything with a classifier that it was given.
func TestAdoptedByNobody(t *testing.T) {
	w, c := attached(t, Options{})
	fds, socket := handOver(t, c), newSocket(t)
	w.right.NS.Do(t, func() error {
		if err := become(nobody); err != nil {
			return err
		}
		adopted, err := Adopt(fds)
		if err != nil {
			return err
		}
		defer adopted.Close()
		_, err = adopted.Attachment()
		_, _, errCounters := adopted.Counters()
		return errors.Join(err, errCounters,
			adopted.SetAddresses(here), adopted.PutPort(443, Exclusive(1)), adopted.PutIdentifier(444, identifier(4, 1), 1),
			adopted.PutSocket(1, 0, socket), adopted.Pause(0), adopted.Resume(0), second(adopted.Ports()),
			second(adopted.Identifiers()), adopted.DeleteSocket(1, 0), adopted.ClearSlot(1))
	})
}

// What a kernel refuses is told from what it has run out of.
func TestRefused(t *testing.T) {
	netnstest.CheckFDs(t)
	for _, test := range []struct {
		err         error
		unavailable bool
	}{
		{unix.EPERM, true},
		{fmt.Errorf("map create: %w", unix.EPERM), true},
		{unix.ENOSYS, true},
		{unix.EINVAL, true},
		{fmt.Errorf("map: %w", ebpf.ErrNotSupported), true},
		{&ebpf.VerifierError{Cause: unix.EACCES}, true},
		{&ebpf.VerifierError{Cause: unix.E2BIG}, true},
		{unix.EMFILE, false},
		{unix.ENOMEM, false},
	} {
		err := refused(test.err)
		if errors.Is(err, ErrUnavailable) != test.unavailable || !errors.Is(err, test.err) {
			t.Errorf("%v became %v", test.err, err)
		}
	}
}
