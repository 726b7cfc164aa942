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

// identifierKey is an identifier of a port as the maps have it.
func identifierKey(port uint16, id cibir.ID) bpf.ClassifierIdentifierKey {
	k := bpf.ClassifierIdentifierKey{Length: uint8(id.Len()), Protocol: unix.IPPROTO_UDP, Port: swap(port)}
	copy(k.Bytes[:], id.Bytes())
	return k
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
	err := c.objects.Identifiers.Update(identifierKey(port, id), everywhere(c, bpf.ClassifierIdentifier{Slot: slot}), flags)
	return failed("BPF_MAP_UPDATE_ELEM", identifierName(port, id), err)
}

// DeleteIdentifier takes the identifier away from a slot, if it has it: somebody else
// may have taken it, even while it is being deleted.
func (c *Classifier) DeleteIdentifier(port uint16, id cibir.ID, slot uint32) error {
	held, found, err := c.holder(port, id)
	if err != nil || !found || held != slot {
		return err
	}
	k, name := identifierKey(port, id), identifierName(port, id)
	var values []bpf.ClassifierIdentifier
	if err := c.objects.Identifiers.LookupAndDelete(k, &values); err != nil {
		return deleted(name, err)
	}
	if values[0].Slot == slot {
		return nil
	}
	// Taken since it was looked up. The kernel has its datagrams for this moment.
	err = c.objects.Identifiers.Update(k, values, ebpf.UpdateNoExist)
	if errors.Is(err, ebpf.ErrKeyExist) { // and put once more
		return nil
	}
	return failed("BPF_MAP_UPDATE_ELEM", name, err)
}

// holder reads which slot has an identifier.
func (c *Classifier) holder(port uint16, id cibir.ID) (slot uint32, found bool, err error) {
	var values []bpf.ClassifierIdentifier
	err = c.objects.Identifiers.Lookup(identifierKey(port, id), &values)
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
	err = each(c, c.objects.Identifiers, func(k bpf.ClassifierIdentifierKey, values []bpf.ClassifierIdentifier) {
		i := Identifier{Port: swap(k.Port), Slot: values[0].Slot}
		i.ID, _ = cibir.NewID(k.Bytes[:min(k.Length, cibir.MaxIDLength)])
		for _, v := range values {
			i.Redirected += v.Redirected
		}
		list = append(list, i)
	})
	return list, err
}
