// SPDX-License-Identifier: MIT

package steering

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// The kernel gives no sign when the sockets of a dying process have gone.
const (
	patience = time.Second      // how long Publish waits for that
	pause    = time.Millisecond // between two looks
)

// Publish gives the datagrams with the identifier id to sockets, from the moment
// it returns. The kernel takes the one whose index is the number of the CPU,
// modulo their number. The sockets belong to the group already: they are bound
// with SO_REUSEPORT. A socket can be in one slot only.
//
// The caller owns the slot and the identifier: nobody alive has published with
// either. What a dead process has left there is removed; its sockets may take a
// moment to go, for which Publish waits a second at most. A Publish that fails
// leaves the slot empty.
func (g *Group) Publish(slot uint32, id cibir.ID, sockets []int) error {
	if err := g.check(slot, id); err != nil {
		return err
	}
	if n := len(sockets); n == 0 || n > MaxSockets {
		return fmt.Errorf("steering: %d sockets: a slot has 1 to %d", n, MaxSockets)
	}
	if err := g.forget(slot); err != nil {
		return err
	}
	// The order is what keeps a datagram of the former owner from the new one. A CPU
	// may have looked up the former owner's entry just before it was removed. The
	// program selects a socket first and then looks whom the slot serves, so whom it
	// serves must be there before the first socket is. The entry comes last, when
	// every socket is in its place.
	serves := bpf.ReuseportSlot{Identifier: key(id), Sockets: uint32(len(sockets))}
	inserted := 0
	err := kerr.New("bpf", fmt.Sprintf("BPF_MAP_UPDATE_ELEM, slots[%d]", slot), g.objects.Slots.Put(slot, serves), "")
	if err == nil {
		inserted, err = g.insert(slot, sockets)
	}
	if err == nil {
		err = kerr.New("bpf", fmt.Sprintf("BPF_MAP_UPDATE_ELEM, identifiers[%s]", id),
			g.objects.Identifiers.Put(serves.Identifier, slot), "")
	}
	if err != nil {
		return errors.Join(err, g.clear(slot, id, inserted))
	}
	return nil
}

// Withdraw ends what [Group.Publish] began: datagrams with the identifier id are
// dropped when it returns. It is no error when nothing, or something else, is
// published there.
func (g *Group) Withdraw(slot uint32, id cibir.ID) error {
	if err := g.check(slot, id); err != nil {
		return err
	}
	serves, err := g.serves(slot)
	if err != nil {
		return err
	}
	if serves.Identifier != key(id) {
		return nil
	}
	return g.clear(slot, id, int(serves.Sockets))
}

// check refuses a slot that no group has and an identifier that this one cannot have.
func (g *Group) check(slot uint32, id cibir.ID) error {
	if slot >= MaxSlots {
		return noSlot(slot)
	}
	if id.Len() != int(g.encoding.Length) {
		return fmt.Errorf("steering: identifier %q has %d bytes, and those of this group have %d", id, id.Len(), g.encoding.Length)
	}
	return nil
}

func noSlot(slot uint32) error {
	return fmt.Errorf("steering: slot %d: the slots are 0 to %d", slot, MaxSlots-1)
}

// key is an identifier as the maps have it.
func key(id cibir.ID) bpf.ReuseportCibirId {
	k := bpf.ReuseportCibirId{Length: uint8(id.Len())}
	copy(k.Bytes[:], id.Bytes())
	return k
}

// memberIndex is where the ith socket of a slot is.
func memberIndex(slot uint32, i int) uint32 { return uint32(i)*MaxSlots + slot }

// serves reads whose a slot is, or was.
func (g *Group) serves(slot uint32) (serves bpf.ReuseportSlot, err error) {
	err = g.objects.Slots.Lookup(slot, &serves)
	return serves, kerr.New("bpf", fmt.Sprintf("BPF_MAP_LOOKUP_ELEM, slots[%d]", slot), err, "")
}

// forget removes the identifier of whoever had the slot before.
func (g *Group) forget(slot uint32) error {
	former, err := g.serves(slot)
	if err != nil || former == (bpf.ReuseportSlot{}) {
		return err
	}
	return g.removeIdentifier(slot, former.Identifier)
}

// removeIdentifier removes the entry of an identifier if it leads to the slot:
// its owner may have come back and taken another one.
func (g *Group) removeIdentifier(slot uint32, k bpf.ReuseportCibirId) error {
	var at uint32
	err := g.objects.Identifiers.Lookup(k, &at)
	if err == nil && at == slot {
		err = g.objects.Identifiers.Delete(k)
	}
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return kerr.New("bpf", fmt.Sprintf("BPF_MAP_DELETE_ELEM, identifiers[%x]", k.Bytes[:k.Length]), err, "")
}

// insert puts the sockets into the slot, and returns how many are there.
func (g *Group) insert(slot uint32, sockets []int) (inserted int, err error) {
	deadline := time.Now().Add(patience)
	for i, socket := range sockets {
		index := memberIndex(slot, i)
		err := g.objects.Members.Update(index, uint64(socket), ebpf.UpdateNoExist)
		for errors.Is(err, ebpf.ErrKeyExist) && time.Now().Before(deadline) {
			time.Sleep(pause)
			err = g.objects.Members.Update(index, uint64(socket), ebpf.UpdateNoExist)
		}
		if err != nil {
			return i, kerr.New("bpf", fmt.Sprintf("BPF_MAP_UPDATE_ELEM, members[%d], slot %d, socket %d", index, slot, socket),
				err, insertHint[kerr.Errno(err)])
		}
	}
	return len(sockets), nil
}

var insertHint = map[unix.Errno]string{
	unix.EINVAL: "the socket must be bound with SO_REUSEPORT, and neither connected nor bound to a device since",
	unix.EBUSY:  "the socket is in a slot already",
	unix.EEXIST: "a process that has lost the slot keeps its sockets open; end it",
}

// clear empties a slot whose first sockets, this many, are those of its owner.
func (g *Group) clear(slot uint32, id cibir.ID, sockets int) error {
	errs := []error{g.removeIdentifier(slot, key(id))}
	for i := range sockets {
		index := memberIndex(slot, i)
		err := g.objects.Members.Delete(index)
		if errors.Is(err, ebpf.ErrKeyNotExist) { // closed, and so gone
			continue
		}
		errs = append(errs, kerr.New("bpf", fmt.Sprintf("BPF_MAP_DELETE_ELEM, members[%d]", index), err, ""))
	}
	err := g.objects.Slots.Put(slot, bpf.ReuseportSlot{})
	errs = append(errs, kerr.New("bpf", fmt.Sprintf("BPF_MAP_UPDATE_ELEM, slots[%d]", slot), err, ""))
	return errors.Join(errs...)
}
