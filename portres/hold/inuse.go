// SPDX-License-Identifier: MIT

package hold

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/sockdiag"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// InUse says that others have the port. It is an EADDRINUSE.
type InUse struct {
	Proto   rules.Proto
	Addr    netip.AddrPort
	Entered bool          // they came while the door was open, and are there now
	Holders []rules.Party // who they are; none where it cannot be found out
}

// Error implements error.
func (e *InUse) Error() string {
	if len(e.Holders) == 0 {
		return fmt.Sprintf("bind(%s %s): %s (errno %d); its holder cannot be found out", e.Proto, e.Addr, unix.EADDRINUSE.Error(), int(unix.EADDRINUSE))
	}
	refusal := rules.Decision{Reason: rules.HeldByForeign, Proto: e.Proto, Port: e.Addr.Port(), Holder: &e.Holders[0]}
	s := refusal.Sentence()
	if e.Entered {
		s += "; it came in while the port was being opened"
	}
	if n := len(e.Holders) - 1; n > 0 {
		s += fmt.Sprintf("; %d more sockets are on it", n)
	}
	return s
}

// Unwrap lets errors.Is compare with EADDRINUSE.
func (e *InUse) Unwrap() error { return unix.EADDRINUSE }

// Holders returns who has sockets on a port, on any of its addresses, in the
// network namespace of the calling thread. Each is shown as foreign: the kernel
// does not know which are ours. Process and Program are empty where the caller
// may not see them, ReusePort is never known, and the UID of sockets in the owned
// tier is [OwnerUID].
//
// Errors are those of sock_diag.
func Holders(proto rules.Proto, port uint16) ([]rules.Party, error) {
	found, err := sockdiag.Find(uint8(proto), port)
	return parties(found), err
}

func parties(found []sockdiag.Socket) []rules.Party {
	if len(found) == 0 {
		return nil
	}
	inodes := make([]uint32, len(found))
	for i, s := range found {
		inodes[i] = s.Inode
	}
	owners := sockdiag.Owners(inodes...)
	list := make([]rules.Party, len(found))
	for i, s := range found {
		owner := owners[s.Inode]
		list[i] = rules.Party{
			UID: s.UID, DeviceBound: s.Device != 0,
			Process: owner.Process, Program: owner.Program, SameProcess: owner.Process == os.Getpid(),
		}
	}
	return list
}
