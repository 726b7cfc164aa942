// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/cibir"
)

// place is where an identifier of a port is: the map, and its key there.
func (c *Classifier) place(port uint16, id cibir.ID) (m *ebpf.Map, key any) {
	var short bpf.ClassifierShortIdKey
	if id.Len() > len(short.Bytes) {
		k := bpf.ClassifierIdentifierKey{Length: uint8(id.Len()), Protocol: unix.IPPROTO_UDP, Port: swap(port)}
		copy(k.Bytes[:], id.Bytes())
		return c.objects.Identifiers, k
	}
	short.Length, short.Port = uint8(id.Len()), swap(port)
	copy(short.Bytes[:], id.Bytes())
	return c.objects.ShortIds, short
}

func identifierName(port uint16, id cibir.ID) string {
	return fmt.Sprintf("identifier %v of port %d", id, port)
}

// PutIdentifier gives the datagrams for a shared UDP port that carry the identifier id
// to a slot. It fails with a [TakenError] when another slot has the identifier.
func (c *Classifier) PutIdentifier(port uint16, id cibir.ID, slot uint32) error {
	for {
		err := c.putIdentifier(port, id, slot, ebpf.UpdateNoExist)
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
		held, found, err := c.holder(port, id)
		if err != nil {
			return err
		}
		if found && held == slot {
			return nil
		}
		if found {
			return &TakenError{identifierName(port, id), fmt.Sprintf("that of slot %d", held)}
		}
		// It has been deleted in between.
	}
}

// TakeIdentifier gives them to a slot, whoever has the identifier. It is for whoever
// holds the claim of the identifier, and finds what a dead owner has left.
func (c *Classifier) TakeIdentifier(port uint16, id cibir.ID, slot uint32) error {
	return c.putIdentifier(port, id, slot, ebpf.UpdateAny)
}

func (c *Classifier) putIdentifier(port uint16, id cibir.ID, slot uint32, flags ebpf.MapUpdateFlags) error {
	if err := checkSlot(slot); err != nil {
		return err
	}
	if id.Len() == 0 {
		return fmt.Errorf("classifier: port %d: an identifier has 1 to %d bytes, not 0", port, cibir.MaxIDLength)
	}
	m, key := c.place(port, id)
	return put(m, identifierName(port, id), key, everywhere(c, bpf.ClassifierIdentifier{Slot: slot}), flags)
}

// DeleteIdentifier takes the identifier away from a slot, if it has it: somebody else
// may have taken it, even while it is being deleted.
func (c *Classifier) DeleteIdentifier(port uint16, id cibir.ID, slot uint32) error {
	held, found, err := c.holder(port, id)
	if err != nil || !found || held != slot {
		return err
	}
	m, key := c.place(port, id)
	var values []bpf.ClassifierIdentifier
	if err := m.LookupAndDelete(key, &values); err != nil {
		return deleted(identifierName(port, id), err)
	}
	if values[0].Slot == slot {
		return nil
	}
	// Taken since it was looked up. The kernel has its datagrams for this moment.
	err = put(m, identifierName(port, id), key, values, ebpf.UpdateNoExist)
	if errors.Is(err, unix.EEXIST) { // and put once more
		return nil
	}
	return err
}

// holder reads which slot has an identifier.
func (c *Classifier) holder(port uint16, id cibir.ID) (slot uint32, found bool, err error) {
	m, key := c.place(port, id)
	var values []bpf.ClassifierIdentifier
	err = m.Lookup(key, &values)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, failed("BPF_MAP_LOOKUP_ELEM", identifierName(port, id), err)
	}
	return values[0].Slot, true, nil
}

// Identifier is an identifier of a shared port.
type Identifier struct {
	Port       uint16
	ID         cibir.ID
	Slot       uint32
	Redirected uint64 // since it was put or taken
}

// Identifiers lists the identifiers, in no order.
func (c *Classifier) Identifiers() (list []Identifier, err error) {
	add := func(port uint16, id []byte, values []bpf.ClassifierIdentifier) {
		i := Identifier{Port: swap(port), Slot: values[0].Slot}
		i.ID, _ = cibir.NewID(id)
		for _, v := range values {
			i.Redirected += v.Redirected
		}
		list = append(list, i)
	}
	err = each(c, c.objects.ShortIds, func(k bpf.ClassifierShortIdKey, values []bpf.ClassifierIdentifier) {
		add(k.Port, k.Bytes[:min(int(k.Length), len(k.Bytes))], values)
	})
	if err != nil {
		return nil, err
	}
	err = each(c, c.objects.Identifiers, func(k bpf.ClassifierIdentifierKey, values []bpf.ClassifierIdentifier) {
		add(k.Port, k.Bytes[:min(int(k.Length), len(k.Bytes))], values)
	})
	return list, err
}
