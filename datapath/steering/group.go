// SPDX-License-Identifier: MIT

package steering

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

const (
	// MaxSlots is the number of slots, and so of identifiers, of a group.
	MaxSlots = 4096
	// MaxSockets is the number of sockets that one slot can have.
	MaxSockets = 64
)

// Group is the steering of one shared port.
type Group struct {
	objects  bpf.ReuseportObjects
	encoding cibir.Encoding
}

// Create makes the steering of a port whose identifiers are at encoding.
//
// It fails with an error that is [ErrUnavailable] where the kernel or the
// privileges of the process do not allow it. It needs CAP_BPF. About 3 MB of the
// kernel's memory belong to a group.
func Create(encoding cibir.Encoding) (*Group, error) {
	if err := encoding.Validate(); err != nil {
		return nil, fmt.Errorf("steering: %w", err)
	}
	g := &Group{encoding: encoding}
	if err := creation.Do(making, g.load); err != nil {
		g.Close()
		return nil, refused(err)
	}
	return g, nil
}

func (g *Group) load() error {
	if err := bpf.LoadReuseportObjects(&g.objects, nil); err != nil {
		return err
	}
	if err := g.objects.Config.Put(uint32(0), configuration(g.encoding)); err != nil {
		return err
	}
	return g.objects.Config.Freeze()
}

func configuration(e cibir.Encoding) bpf.ReuseportConfiguration {
	c := bpf.ReuseportConfiguration{
		Magic:   bpf.ReuseportFormatMagicFORMAT_MAGIC,
		Version: bpf.ReuseportFormatVersionFORMAT_VERSION,
	}
	c.Encoding.Length = e.Length
	c.Encoding.SourceOffset = e.SourceOffset
	c.Encoding.DestinationOffset = e.DestinationOffset
	return c
}

// Encoding returns where the identifiers of the group are.
func (g *Group) Encoding() cibir.Encoding { return g.encoding }

// Attach makes the reuseport group of socket use this steering. It is enough that
// one socket of a group does so, once; to do it again changes nothing. The socket
// needs SO_REUSEPORT.
//
// Attach the first socket of a port before it is bound, and no datagram is ever
// given to the wrong one. A socket that joins others must be bound first: the
// kernel refuses to bind one that has a program already, with EADDRINUSE.
func (g *Group) Attach(socket int) error {
	err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_EBPF, g.objects.MsquicxdpSteer.FD())
	hint := ""
	if err == unix.EINVAL {
		hint = "set SO_REUSEPORT on the socket first"
	}
	return kerr.New("setsockopt", fmt.Sprintf("SO_ATTACH_REUSEPORT_EBPF, socket %d", socket), err, hint)
}

// Close gives the descriptors back. The kernel goes on steering while a socket
// of the group is open.
func (g *Group) Close() error {
	if err := g.objects.Close(); err != nil {
		return fmt.Errorf("steering: close: %w", err)
	}
	return nil
}
