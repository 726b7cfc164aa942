// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

func checkSlot(slot uint32) error {
	if slot >= MaxSlots {
		return fmt.Errorf("classifier: slot %d: the slots are 0 to %d", slot, MaxSlots-1)
	}
	return nil
}

func checkQueue(queue uint32) error {
	if queue >= MaxQueues {
		return fmt.Errorf("classifier: queue %d: the queues are 0 to %d", queue, MaxQueues-1)
	}
	return nil
}

// socketIndex is where the socket of a slot for a queue is.
func socketIndex(slot, queue uint32) uint32 { return slot*MaxQueues + queue }

func socketName(slot, queue uint32) string {
	return fmt.Sprintf("socket of slot %d for queue %d", slot, queue)
}

// PutSocket gives a slot its AF_XDP socket for a queue: from now on it gets what is for
// the slot and comes by that queue. The socket must be bound to that interface and
// queue, or the kernel drops what is for it. It leaves when its last descriptor is
// closed, in whichever process. PutSocket fails with EEXIST when another socket is there.
func (c *Classifier) PutSocket(slot, queue uint32, socket int) error {
	if err := errors.Join(checkSlot(slot), checkQueue(queue)); err != nil {
		return err
	}
	err := c.objects.Sockets.Update(socketIndex(slot, queue), uint32(socket), ebpf.UpdateNoExist)
	return kerr.New("bpf", fmt.Sprintf("BPF_MAP_UPDATE_ELEM, %s, descriptor %d", socketName(slot, queue), socket), err,
		socketHint[kerr.Errno(err)])
}

var socketHint = map[unix.Errno]string{
	unix.EEXIST:     "a socket is there: delete it first",
	unix.EOPNOTSUPP: "it is no AF_XDP socket",
}

// DeleteSocket takes its socket for a queue away from a slot. It is no error when none is there.
// Packets on their way to the socket are there when an RCU grace period has passed.
func (c *Classifier) DeleteSocket(slot, queue uint32) error {
	if err := errors.Join(checkSlot(slot), checkQueue(queue)); err != nil {
		return err
	}
	return deleted(socketName(slot, queue), c.objects.Sockets.Delete(socketIndex(slot, queue)))
}

// ClearSlot removes all that a slot has: its sockets, its exclusive ports and its
// identifiers. It is for a slot whose owner has died, before another one gets it. It
// takes time for each port and identifier that anybody has.
func (c *Classifier) ClearSlot(slot uint32) error {
	if err := checkSlot(slot); err != nil {
		return err
	}
	var errs []error
	for queue := range uint32(MaxQueues) {
		errs = append(errs, c.DeleteSocket(slot, queue))
	}
	ports, err := c.Ports()
	errs = append(errs, err)
	for _, p := range ports {
		if p.Rule == Exclusive(slot) {
			errs = append(errs, c.DeletePort(p.Number, p.Rule))
		}
	}
	identifiers, err := c.Identifiers()
	errs = append(errs, err)
	for _, i := range identifiers {
		if i.Slot == slot {
			errs = append(errs, c.DeleteIdentifier(i.Port, i.ID, slot))
		}
	}
	return errors.Join(errs...)
}

// Pause lets the kernel have what comes by a queue, until [Classifier.Resume]. Packets on
// their way to a socket are there when an RCU grace period has passed.
func (c *Classifier) Pause(queue uint32) error { return c.setPaused(queue, 1) }

// Resume ends a [Classifier.Pause].
func (c *Classifier) Resume(queue uint32) error { return c.setPaused(queue, 0) }

func (c *Classifier) setPaused(queue, paused uint32) error {
	if err := checkQueue(queue); err != nil {
		return err
	}
	err := c.objects.Queues.Put(queue, bpf.ClassifierQueue{Paused: paused})
	return failed("BPF_MAP_UPDATE_ELEM", fmt.Sprintf("queue %d", queue), err)
}
