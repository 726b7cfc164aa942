// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/msquicxdp/msquicxdp/bpf"
)

const (
	// MaxSlots is how many datapaths an interface can have.
	MaxSlots = 1024
	// MaxQueues is how many receive queues of an interface are served. What comes by a later one goes to the kernel.
	MaxQueues = 64
	// MaxAddresses is how many addresses this host can have.
	MaxAddresses = 4096
	// MaxPorts is how many ports can have a rule.
	MaxPorts = 65536
	// MaxIdentifiers is how many identifiers of up to 5 bytes there can be, of all ports, and as many longer ones.
	MaxIdentifiers = 16384
)

// Classifier is the XDP program of one interface and its maps.
type Classifier struct {
	objects bpf.ClassifierObjects
	link    link.Link // nil until it is attached
	cpus    int       // for each of which there is a copy of some values
	longest uint32
	ports   []byte // the map of that name, as memory
}

// Options are what cannot be changed later.
type Options struct {
	// LongestPacket is the longest packet that a socket can take, in bytes with its
	// Ethernet header. Longer ones go to the kernel: jumbo frames, and what GRO or the
	// segmentation of a peer on the same host has coalesced. 0: any packet.
	LongestPacket int
}

// Load makes a classifier that is on no interface yet.
//
// It fails with an error that is [ErrUnavailable] where the kernel or the privileges
// of the process do not allow it. It needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. About
// 2 MB of the kernel's memory belong to it, and some more for each identifier and CPU.
func Load(o Options) (*Classifier, error) {
	c := &Classifier{longest: uint32(o.LongestPacket)}
	if o.LongestPacket < 0 || o.LongestPacket > maxPacket {
		return nil, fmt.Errorf("classifier: longest packet %d: it is 0 to %d bytes", o.LongestPacket, maxPacket)
	}
	if c.longest == 0 {
		c.longest = maxPacket
	}
	if err := loading.Do(making, c.load); err != nil {
		c.Close()
		return nil, refused(err)
	}
	return c, nil
}

// maxPacket is longer than any that IP can describe.
const maxPacket = 1 << 17

func (c *Classifier) load() (err error) {
	if c.cpus, err = ebpf.PossibleCPU(); err != nil {
		return err
	}
	if err := bpf.LoadClassifierObjects(&c.objects, nil); err != nil {
		return err
	}
	if err := c.objects.Config.Put(uint32(0), bpf.ClassifierConfiguration{
		Magic:   bpf.ClassifierFormatMagicFORMAT_MAGIC,
		Version: bpf.ClassifierFormatVersionFORMAT_VERSION,
		Longest: c.longest,
	}); err != nil {
		return err
	}
	if err := c.objects.Config.Freeze(); err != nil {
		return err
	}
	if err := c.renew(); err != nil {
		return err
	}
	return c.mapPorts()
}

// LongestPacket is what [Options] said when the classifier was made.
func (c *Classifier) LongestPacket() int { return int(c.longest) }

// Close gives the descriptors back. The program leaves the interface with the last
// process that has it open.
func (c *Classifier) Close() error {
	err := errors.Join(c.unmapPorts(), c.objects.Close())
	if c.link != nil {
		err = errors.Join(c.link.Close(), err)
	}
	if err != nil {
		return fmt.Errorf("classifier: close: %w", err)
	}
	return nil
}

// ID returns the number of the program.
func (c *Classifier) ID() (uint32, error) {
	info, err := c.objects.MsquicxdpClassify.Info()
	if err != nil {
		return 0, fmt.Errorf("classifier: program: %w", err)
	}
	id, _ := info.ID()
	return uint32(id), nil
}
