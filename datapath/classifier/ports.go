// SPDX-License-Identifier: MIT

package classifier

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
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

// word is the rule as the map has it: struct port of the program, read at once.
func (r Rule) word() uint64 {
	if !r.Shared {
		return uint64(bpf.ClassifierPortKindPORT_EXCLUSIVE) | uint64(r.Slot)<<32
	}
	return uint64(bpf.ClassifierPortKindPORT_SHARED) |
		uint64(r.Encoding.Length)<<8 | uint64(r.Encoding.SourceOffset)<<16 | uint64(r.Encoding.DestinationOffset)<<24
}

// ruleOf is the rule that a word other than 0 stands for.
func ruleOf(word uint64) Rule {
	if bpf.ClassifierPortKind(word) == bpf.ClassifierPortKindPORT_EXCLUSIVE {
		return Exclusive(uint32(word >> 32))
	}
	return Shared(cibir.Encoding{Length: uint8(word >> 8), SourceOffset: uint8(word >> 16), DestinationOffset: uint8(word >> 24)})
}

// mapPorts makes the rules of all ports memory of this process, where they can be
// compared and swapped.
func (c *Classifier) mapPorts() (err error) {
	c.ports, err = unix.Mmap(c.objects.Ports.FD(), 0, 8*MaxPorts, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return kerr.New("mmap", "the map ports", err, "")
}

func (c *Classifier) unmapPorts() error {
	if c.ports == nil {
		return nil
	}
	mapped := c.ports
	c.ports = nil
	return kerr.New("munmap", "the map ports", unix.Munmap(mapped), "")
}

const isClosed = "the classifier is closed"

// port is the word of a port, and an error when the classifier is closed.
//
// Safety: the kernel maps whole pages, so that each word is aligned, and has one for
// every number of a port. [Classifier.Close], which unmaps them, comes last.
func (c *Classifier) port(number uint16) (*atomic.Uint64, error) {
	if c.ports == nil {
		return nil, kerr.New("mmap", portName(number), unix.EBADF, isClosed)
	}
	return (*atomic.Uint64)(unsafe.Pointer(&c.ports[8*int(number)])), nil
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
	word, err := c.change(port, r)
	if err != nil {
		return err
	}
	for !word.CompareAndSwap(0, r.word()) {
		switch held := word.Load(); held {
		case 0: // deleted in between
		case r.word():
			return nil
		default:
			return &TakenError{portName(port), ruleOf(held).String()}
		}
	}
	return nil
}

// TakePort gives a UDP port a rule, whatever rule it has. It is for whoever holds the
// claim of the port, and finds what a dead owner has left.
func (c *Classifier) TakePort(port uint16, r Rule) error {
	word, err := c.change(port, r)
	if err == nil {
		word.Store(r.word())
	}
	return err
}

// DeletePort takes the rule away from a UDP port, if it is this one: somebody else
// may have taken the port. A shared port belongs to all who share it: it is for the
// last of them to delete its rule, or for nobody, since without identifiers it
// leaves the port to the kernel, too.
func (c *Classifier) DeletePort(port uint16, r Rule) error {
	word, err := c.change(port, r)
	if err == nil {
		word.CompareAndSwap(r.word(), 0)
	}
	return err
}

// change checks the arguments of a change to the rule of a port.
func (c *Classifier) change(port uint16, r Rule) (*atomic.Uint64, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return c.port(port)
}

// Port is a port with a rule.
type Port struct {
	Number uint16
	Rule   Rule
}

// Ports lists the ports in order.
func (c *Classifier) Ports() (list []Port, err error) {
	for number := range MaxPorts {
		word, err := c.port(uint16(number))
		if err != nil {
			return nil, err
		}
		if held := word.Load(); held != 0 {
			list = append(list, Port{uint16(number), ruleOf(held)})
		}
	}
	return list, nil
}
