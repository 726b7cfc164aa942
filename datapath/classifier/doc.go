// SPDX-License-Identifier: MIT

// Package classifier decides for each packet that an interface receives which
// datapath it is for, by an XDP program in the kernel.
//
// A [Classifier] is that program for one interface, and the maps by which it
// decides. A datapath has one of [MaxSlots] slots, and in its slot an AF_XDP
// socket for each receive queue that it serves. A packet goes to a socket when it
// is a whole UDP datagram, for an address of this host, and
//
//   - its port is exclusive: the socket of the slot that has the port, or
//   - its port is shared: the socket of the slot that has the CIBIR identifier
//     which the datagram carries.
//
// The socket is the one for the queue by which the packet came. Whatever else
// comes goes on to the kernel's network stack, as if the program were not there,
// and is counted by reason: see [Reason]. Nothing is ever dropped here.
//
// One process makes the classifier with [Load] and puts it on the interface with
// [Classifier.Attach]. The others get its descriptors and [Adopt] it, or [Open] it
// by the number of its link. It stays on the interface for as long as any process
// has it open, and goes with the last one, however that ends. Another's XDP program
// is never replaced: see [OccupiedError].
//
// Every change takes the same time however much there is in the maps, holds for the
// next packet, and disturbs no other. What somebody has is not taken from him by
// accident: a second Put fails, with a [TakenError]; to Take is another call. Who
// may have which slot, port and identifier is not decided here: callers hold locks
// for that. The maps trust all who have their descriptors.
//
// A Classifier may be used by any number of threads and processes, each for slots
// of its own; [Classifier.Attach] comes first, [Classifier.Close] last.
package classifier
