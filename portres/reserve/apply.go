// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// ApplyOptions say where the kernel is to enforce reservations. The zero value
// is right for a machine; other values are for a part of it, and for tests.
type ApplyOptions struct {
	// Cgroup is the directory of the cgroup whose processes must obey, with all
	// below it. Empty: the top of the cgroup v2 hierarchy, so all processes.
	Cgroup string

	// BPFFS is where a BPF file system is mounted that keeps the programs after
	// this process. Empty: /sys/fs/bpf.
	BPFFS string
}

// Applied is what the kernel does for the reservations after [Store.Apply], in
// one network namespace.
type Applied struct {
	// Excluded are the ports, of UDP and TCP together, that the kernel does not
	// give to who asks for any port, because of reservations. Added and Removed
	// are how that list was changed. All are written like "4433-4440,9000".
	Excluded string `json:"excluded"`
	Added    string `json:"added"`
	Removed  string `json:"removed"`

	// Enforced are the reservations that the kernel enforces.
	Enforced []Token `json:"enforced,omitempty"`
}

// Apply makes the kernel respect the reservations in the network namespace of
// dir, which must be that of the calling thread. It takes their ports out of
// what the kernel gives to sockets that ask for any port
// (net.ipv4.ip_local_reserved_ports), and has the enforced ones refused, with
// EADDRINUSE, to all who are not permitted. What ended since the last time is
// taken back; what others have put into the list stays. Repeated, it repairs
// what others have undone, or changes nothing. Several at once wait for each
// other.
//
// It needs root with CAP_NET_ADMIN, and CAP_BPF for enforcing. The two parts do
// not depend on each other: with an error, Applied says what was done all the
// same. The error is an *[UnavailableError] when reservations are to be
// enforced and cannot be.
func (s *Store) Apply(dir *rundir.Dir, o ApplyOptions) (Applied, error) {
	cookie, err := netnsCookie()
	if err != nil {
		return Applied{}, err
	}
	if ours := dir.Namespace().Cookie; ours != cookie {
		return Applied{}, fmt.Errorf("state directory %s is of network namespace %d, and the calling thread is in %d", dir.Path(), ours, cookie)
	}
	state, lock, err := lockState(dir)
	if err != nil {
		return Applied{}, err
	}
	defer state.Close()
	defer lock.Close()
	list, err := s.List() // behind the lock: who comes last has read the latest
	if err != nil {
		return Applied{}, err
	}
	var a Applied
	err = errors.Join(a.exclude(state, list), a.enforce(newEnforcer(o), cookie, list))
	return a, err
}

// lockState opens the state directory and waits for those who apply
// reservations in its namespace.
func lockState(dir *rundir.Dir) (folder, *os.File, error) {
	f, err := os.Open(dir.Path())
	if err != nil {
		return folder{}, nil, kerr.New("open", dir.Path(), err, "")
	}
	state := folder{f}
	lock, err := state.lock(memoryName + ".lock")
	if err != nil {
		state.Close()
	}
	return state, lock, err
}

// exclude makes the kernel's list of ports agree with the reservations.
func (a *Applied) exclude(state folder, list []Reservation) error {
	var wanted portSet
	for i := range list {
		wanted.addRange(list[i].Start, list[i].Last())
	}
	ours, err := recall(state)
	if err != nil || wanted.empty() && ours.empty() {
		return err
	}
	f, err := openExcluded()
	if err != nil {
		return err
	}
	defer f.Close()
	return a.merge(state, f, &wanted, ours)
}

// merge brings the list to what is wanted, and keeps in mind which of its ports
// are there because of us: those may be removed one day, and no others. While
// it is at work, the mind holds those that it adds and those that it removes,
// so that being killed loses neither.
func (a *Applied) merge(state folder, f excluded, wanted, ours *portSet) error {
	before, err := readExcluded(f)
	if err != nil {
		return err
	}
	others := before.minus(ours)
	next := wanted.minus(others)
	if err := remember(state, ours, ours.union(next)); err != nil {
		return err
	}
	gone := ours.minus(wanted)
	if err := changeExcluded(f, wanted, gone); err != nil {
		return err
	}
	a.Excluded = wanted.String()
	a.Added = wanted.minus(before).String()
	a.Removed = before.intersection(gone).String()
	return remember(state, ours.union(next), next)
}

// netnsCookie returns the number of the calling thread's network namespace,
// which is never used again until the machine starts anew.
func netnsCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, kerr.New("socket", "AF_UNIX, SOCK_DGRAM", err, "")
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return cookie, kerr.New("getsockopt", "SO_NETNS_COOKIE", err, "needs Linux 5.14 or newer")
}
