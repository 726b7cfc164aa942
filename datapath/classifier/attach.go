// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Mode is where the program runs.
type Mode uint8

const (
	// AnyMode asks for native, and generic where native cannot be had.
	AnyMode Mode = iota
	// Native: in the driver, before the packet becomes one of the kernel's.
	Native
	// Generic: in the kernel, for every driver. What GRO or the segmentation of a peer on
	// the same host has coalesced is seen as one packet, and cannot be told from one.
	Generic
	// Offloaded: in the device. Nobody asks for it here.
	Offloaded
)

// String returns the name of the mode.
func (m Mode) String() string {
	switch m {
	case AnyMode:
		return "any"
	case Native:
		return "native"
	case Generic:
		return "generic"
	case Offloaded:
		return "offloaded"
	}
	return "unknown"
}

// Attachment is the place of a classifier.
type Attachment struct {
	Ifindex   int
	Mode      Mode
	Link      uint32 // its number, by which [Open] finds it
	Program   uint32 // its number
	NotNative error  // why [Classifier.Attach] had to choose generic
}

// Attach puts the classifier on an interface, of the network namespace of the calling
// thread. It needs CAP_NET_ADMIN there.
//
// It fails with an [OccupiedError] when another XDP program is there, which stays. In
// native mode the kernel turns off what the driver cannot do along with XDP, such as
// LRO and, at the other end of a veth pair, segmentation.
func (c *Classifier) Attach(ifindex int, mode Mode) (Attachment, error) {
	if c.ports == nil {
		return Attachment{}, kerr.New("bpf", fmt.Sprintf("BPF_LINK_CREATE, interface %d", ifindex), unix.EBADF, isClosed)
	}
	if c.link != nil {
		if _, err := c.linked(); !errors.Is(err, ErrDetached) {
			return Attachment{}, errors.Join(errors.New("classifier: attach: it is attached already"), err)
		}
		c.link.Close() // what was taken from us by force
		c.link = nil
	}
	if mode != AnyMode {
		return c.attach(ifindex, mode)
	}
	a, notNative := c.attach(ifindex, Native)
	if notNative == nil || errors.As(notNative, new(*OccupiedError)) {
		return a, notNative
	}
	a, err := c.attach(ifindex, Generic)
	if err != nil {
		return Attachment{}, errors.Join(notNative, err)
	}
	a.NotNative = notNative
	return a, nil
}

var attachFlags = map[Mode]link.XDPAttachFlags{Native: link.XDPDriverMode, Generic: link.XDPGenericMode}

// attach attaches in this mode only.
func (c *Classifier) attach(ifindex int, mode Mode) (Attachment, error) {
	flags, ok := attachFlags[mode]
	if !ok {
		return Attachment{}, fmt.Errorf("classifier: attach: mode %v", mode)
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: c.objects.MsquicxdpClassify, Interface: ifindex, Flags: flags})
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
		if o := occupied(ifindex, err); o != nil {
			return Attachment{}, o
		}
	}
	if err != nil {
		return Attachment{}, kerr.New("bpf", fmt.Sprintf("BPF_LINK_CREATE, interface %d, %v", ifindex, mode), err, attachHint[kerr.Errno(err)])
	}
	c.link = l
	a, err := c.Attachment()
	if err != nil {
		c.link.Close()
		c.link = nil
	}
	return a, err
}

var attachHint = map[unix.Errno]string{
	unix.EPERM:      "it needs the capability CAP_NET_ADMIN",
	unix.EOPNOTSUPP: "the driver knows no XDP",
	unix.ERANGE:     "the MTU is too large for the driver",
	unix.ENOSPC:     "the device has too few queues for it: a veth needs as many receive queues as its peer has transmit queues",
	unix.EINVAL:     "there is no such interface in this network namespace, or its driver refuses",
}

// ErrDetached is what [Classifier.Attachment] fails with when the classifier is on no
// interface: not yet, or no more, since the device is gone or somebody has detached
// its link by force.
var ErrDetached = errors.New("the classifier is on no interface")

// Attachment says where the classifier is. The interface is one of the network
// namespace of the calling thread.
func (c *Classifier) Attachment() (Attachment, error) {
	a, err := c.linked()
	if err != nil {
		return Attachment{}, err
	}
	x, err := xdpOf(a.Ifindex)
	if err != nil {
		return Attachment{}, err
	}
	if x.program != a.Program {
		return Attachment{}, fmt.Errorf("classifier: interface %d of this network namespace is not the one it is attached to", a.Ifindex)
	}
	a.Mode = x.mode
	return a, nil
}

// linked is what the link knows of its place.
func (c *Classifier) linked() (Attachment, error) {
	if c.link == nil {
		return Attachment{}, fmt.Errorf("classifier: %w", ErrDetached)
	}
	info, err := c.link.Info()
	if err != nil {
		return Attachment{}, fmt.Errorf("classifier: link: %w", err)
	}
	a := Attachment{Ifindex: int(info.XDP().Ifindex), Link: uint32(info.ID), Program: uint32(info.Program)}
	if a.Ifindex == 0 {
		return Attachment{}, fmt.Errorf("classifier: link %d: %w any more", a.Link, ErrDetached)
	}
	return a, nil
}

// Refresh hands the program to the driver again. A driver may leave queues without it that
// have come after it: that of veth does. No packet misses the program meanwhile, and every
// process that has the classifier open may do it at any time.
//
// The kernel takes a program that is there already for no change. So for a moment a twin is
// there that does the same with the same maps. A process that dies in that moment leaves
// it: see [Classifier.HasTwin].
func (c *Classifier) Refresh() error {
	if c.link == nil {
		return fmt.Errorf("classifier: refresh: %w", ErrDetached)
	}
	var twin struct {
		Program *ebpf.Program `ebpf:"msquicxdp_classify"`
	}
	spec, err := bpf.LoadClassifier()
	if err != nil {
		return err
	}
	same := map[string]*ebpf.Map{}
	for _, p := range c.parts() {
		same[p.name] = *p.m
	}
	if err := spec.LoadAndAssign(&twin, &ebpf.CollectionOptions{MapReplacements: same}); err != nil {
		return refused(err)
	}
	defer twin.Program.Close()
	err = c.link.Update(twin.Program)
	return kerr.New("bpf", "BPF_LINK_UPDATE", errors.Join(err, c.link.Update(c.objects.MsquicxdpClassify)), "it needs the capability CAP_NET_ADMIN")
}

// HasTwin reports whether the twin of the program that is used in [Classifier.Refresh] is on
// the interface. While it is nobody can adopt the classifier. Another Refresh ends that.
func (c *Classifier) HasTwin() bool {
	a, err := c.linked()
	if err != nil {
		return false
	}
	info, err := c.objects.MsquicxdpClassify.Info()
	if err != nil {
		return false
	}
	id, _ := info.ID()
	return a.Program != uint32(id)
}
