// SPDX-License-Identifier: MIT

package steering

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
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
	netnstest.CheckFDs(t)
	ns := netnstest.New(t)
	for _, test := range []struct {
		name      string
		drop      func() error
		available bool
	}{
		{"nobody", func() error { return become(nobody) }, false},
		{"root without capabilities", func() error { return limitTo() }, false},
		{"CAP_NET_ADMIN", func() error { return limitTo(unix.CAP_NET_ADMIN) }, false},
		{"CAP_BPF", func() error { return limitTo(unix.CAP_BPF) }, true},
		{"CAP_SYS_ADMIN", func() error { return limitTo(unix.CAP_SYS_ADMIN) }, true},
	} {
		ns.Do(t, func() error {
			if err := test.drop(); err != nil {
				return err
			}
			g, err := Create(usual)
			if test.available {
				if err != nil {
					return fmt.Errorf("%s: %w", test.name, err)
				}
				return g.Close()
			}
			var missing *UnavailableError
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, unix.EPERM) || !errors.As(err, &missing) {
				t.Errorf("%s: %v", test.name, err)
			} else if !strings.Contains(missing.Need, "CAP_BPF") || !strings.Contains(err.Error(), missing.Need) {
				t.Errorf("%s: %v does not say what is missing", test.name, err)
			}
			return nil
		})
	}
}

// A process without any privilege can do everything with a group that it was given.
func TestAdoptedByNobody(t *testing.T) {
	p := newPort(t, usual)
	fds := handOver(t, p.g)
	id := identifier(usual.Length, 1)
	var sockets []int
	p.ns.Do(t, func() error {
		if err := become(nobody); err != nil {
			return err
		}
		g, err := Adopt(fds)
		if err != nil {
			return err
		}
		t.Cleanup(func() { g.Close() })
		if sockets, err = memberSockets(g, 2); err != nil {
			return err
		}
		if err := g.Publish(5, id, sockets); err != nil {
			return err
		}
		_, err = g.Counters()
		return err
	})
	for _, fd := range sockets {
		p.open[fd] = true
	}
	p.wantAt(sockets, "v4", short(usual, id))
	p.wantAt(sockets, "v6", long(usual, id))
}

// What a kernel refuses is told from what it has run out of.
func TestRefused(t *testing.T) {
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
		{unix.EMFILE, false},
		{unix.ENOMEM, false},
	} {
		err := refused(test.err)
		if errors.Is(err, ErrUnavailable) != test.unavailable || !errors.Is(err, test.err) {
			t.Errorf("%v became %v", test.err, err)
		}
	}
}

func TestCreateRefusesAnEncoding(t *testing.T) {
	g, err := Create(cibir.Encoding{Length: 21})
	if err == nil {
		g.Close()
		t.Fatal("created")
	}
	if errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "1 to 20 bytes") {
		t.Error(err)
	}
}
