// SPDX-License-Identifier: MIT

package classifier

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/cibir"
)

// Rule says whose the datagrams for a port are. It is comparable.
type Rule struct {
	Shared   bool           // whose identifier they carry, and otherwise the slot's
	Slot     uint32         // of an exclusive port
	Encoding cibir.Encoding // of a shared port: where the identifier is
}

// Exclusive is the rule of a port whose datagrams are all for one slot.
func Exclusive(slot uint32) Rule { return Rule{Slot: slot} }

// Shared is the rule of a port whose datagrams carry an identifier.
func Shared(e cibir.Encoding) Rule { return Rule{Shared: true, Encoding: e} }

// String describes the rule for a person.
func (r Rule) String() string {
	if r.Shared {
		return fmt.Sprintf("shared, with identifiers at %v", r.Encoding)
	}
	return fmt.Sprintf("exclusive to slot %d", r.Slot)
}

func (r Rule) check() error {
	if r.Shared {
		return r.Encoding.Validate()
	}
	return checkSlot(r.Slot)
}

func (r Rule) value() bpf.ClassifierPort {
	if !r.Shared {
		return bpf.ClassifierPort{Kind: bpf.ClassifierPortKindPORT_EXCLUSIVE, Slot: r.Slot}
	}
	v := bpf.ClassifierPort{Kind: bpf.ClassifierPortKindPORT_SHARED}
	v.Encoding.Length = r.Encoding.Length
	v.Encoding.SourceOffset = r.Encoding.SourceOffset
	v.Encoding.DestinationOffset = r.Encoding.DestinationOffset
	return v
}

func ruleOf(v bpf.ClassifierPort) Rule {
	if v.Kind == bpf.ClassifierPortKindPORT_EXCLUSIVE {
		return Exclusive(v.Slot)
	}
	return Shared(cibir.Encoding{
		Length:            v.Encoding.Length,
		SourceOffset:      v.Encoding.SourceOffset,
		DestinationOffset: v.Encoding.DestinationOffset,
	})
}

// portKey is a UDP port as the maps have it.
func portKey(port uint16) bpf.ClassifierPortKey {
	return bpf.ClassifierPortKey{Protocol: unix.IPPROTO_UDP, Number: swap(port)}
}

// swap turns a number of this host into one of the network, and back.
func swap(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}

func portName(port uint16) string { return fmt.Sprintf("port %d", port) }

// PutPort gives a UDP port a rule. It fails with a [TakenError] when it has another
// one already; to put the same again changes nothing, so that each of those who
// share a port can put its rule.
func (c *Classifier) PutPort(port uint16, r Rule) error {
	for {
		err := c.putPort(port, r, ebpf.UpdateNoExist)
		if !errors.Is(err, ebpf.ErrKeyExist) {
			return err
		}
		held, found, err := c.rule(port)
		if err != nil {
			return err
		}
		if found && held == r {
			return nil
		}
		if found {
			return &TakenError{portName(port), held.String()}
		}
		// It has been deleted in between.
	}
}

// TakePort gives a UDP port a rule, whatever rule it has. It is for whoever holds the
// claim of the port, and finds what a dead owner has left.
func (c *Classifier) TakePort(port uint16, r Rule) error {
	return c.putPort(port, r, ebpf.UpdateAny)
}

func (c *Classifier) putPort(port uint16, r Rule, flags ebpf.MapUpdateFlags) error {
	if err := r.check(); err != nil {
		return err
	}
	err := c.objects.Ports.Update(portKey(port), everywhere(c, r.value()), flags)
	return failed("BPF_MAP_UPDATE_ELEM", portName(port), err)
}

// DeletePort takes the rule away from a UDP port, if it is this one: somebody else
// may have taken the port. A shared port belongs to all who share it: it is for the
// last of them to delete its rule, or for nobody, since without identifiers it
// leaves the port to the kernel, too.
func (c *Classifier) DeletePort(port uint16, r Rule) error {
	held, found, err := c.rule(port)
	if err != nil || !found || held != r {
		return err
	}
	return deleted(portName(port), c.objects.Ports.Delete(portKey(port)))
}

// rule reads the rule of a port.
func (c *Classifier) rule(port uint16) (r Rule, found bool, err error) {
	var values []bpf.ClassifierPort
	err = c.objects.Ports.Lookup(portKey(port), &values)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return Rule{}, false, nil
	}
	if err != nil {
		return Rule{}, false, failed("BPF_MAP_LOOKUP_ELEM", portName(port), err)
	}
	return ruleOf(values[0]), true, nil
}

// Port is a port with a rule.
type Port struct {
	Number     uint16
	Rule       Rule
	Redirected uint64 // to its slot, when it is exclusive
}

// Ports lists the ports, in no order.
func (c *Classifier) Ports() (list []Port, err error) {
	err = each(c, c.objects.Ports, func(k bpf.ClassifierPortKey, values []bpf.ClassifierPort) {
		p := Port{Number: swap(k.Number), Rule: ruleOf(values[0])}
		for _, v := range values {
			p.Redirected += v.Redirected
		}
		list = append(list, p)
	})
	return list, err
}
