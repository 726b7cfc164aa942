// SPDX-License-Identifier: MIT

package classifier

import (
	"fmt"

	"github.com/msquicxdp/msquicxdp/bpf"
)

// Reason is what became of a packet, and why.
type Reason uint8

// Every packet is counted as exactly one of these. All but the first go to the kernel.
const (
	// Redirected: to a socket. Its ring may still overflow, which the socket counts.
	Redirected = Reason(bpf.ClassifierVerdictREDIRECTED)
	// NotIP: by its ethertype.
	NotIP = Reason(bpf.ClassifierVerdictNOT_IP)
	// Tagged: with a VLAN.
	Tagged = Reason(bpf.ClassifierVerdictTAGGED)
	// Malformed: its lengths contradict each other, or the driver does not give the headers in one piece.
	Malformed = Reason(bpf.ClassifierVerdictMALFORMED)
	// Fragment: of an IP packet.
	Fragment = Reason(bpf.ClassifierVerdictFRAGMENT)
	// Extension: has IPv6 extension headers.
	Extension = Reason(bpf.ClassifierVerdictEXTENSION)
	// NotUDP: another protocol.
	NotUDP = Reason(bpf.ClassifierVerdictNOT_UDP)
	// NoPort: the port has no rule.
	NoPort = Reason(bpf.ClassifierVerdictNO_PORT)
	// NotLocal: is for an address that this host does not have.
	NotLocal = Reason(bpf.ClassifierVerdictNOT_LOCAL)
	// TooLong: longer than [Options.LongestPacket].
	TooLong = Reason(bpf.ClassifierVerdictTOO_LONG)
	// TooShort: ends within the QUIC header, or before the identifier does.
	TooShort = Reason(bpf.ClassifierVerdictTOO_SHORT)
	// NoIdentifier: its connection ID ends before the identifier would.
	NoIdentifier = Reason(bpf.ClassifierVerdictNO_IDENTIFIER)
	// UnknownIdentifier: nobody has its identifier.
	UnknownIdentifier = Reason(bpf.ClassifierVerdictUNKNOWN_IDENTIFIER)
	// Paused: its queue is. See [Classifier.Pause].
	Paused = Reason(bpf.ClassifierVerdictPAUSED)
	// NoSocket: the slot has no socket for its queue.
	NoSocket = Reason(bpf.ClassifierVerdictNO_SOCKET)
)

// Reasons is how many there are.
const Reasons = int(bpf.ClassifierVerdictVERDICTS)

var reasonNames = [Reasons]string{
	Redirected: "redirected", NotIP: "not IP", Tagged: "VLAN tag", Malformed: "malformed", Fragment: "IP fragment",
	Extension: "IPv6 extension header", NotUDP: "not UDP", NoPort: "no rule for the port", NotLocal: "no local address",
	TooLong: "too long", TooShort: "too short", NoIdentifier: "no identifier", UnknownIdentifier: "unknown identifier",
	Paused: "queue paused", NoSocket: "no socket for the queue",
}

// String returns the name by which the reason is counted.
func (r Reason) String() string {
	if int(r) < Reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Counters are numbers of packets, by [Reason].
type Counters [Reasons]uint64

// Counters counts the packets since the classifier was made, for each queue and for
// all together. Those of the queues beyond are counted as of queue [MaxQueues].
func (c *Classifier) Counters() (total Counters, queues [MaxQueues + 1]Counters, err error) {
	err = each(c, c.objects.Verdicts, func(index uint32, values []uint64) {
		n := sum(values)
		total[index%uint32(Reasons)] += n
		queues[index/uint32(Reasons)][index%uint32(Reasons)] = n
	})
	return total, queues, err
}

// RedirectedTo counts the packets that a slot has got since the classifier was made,
// those of its former owners included.
func (c *Classifier) RedirectedTo(slot uint32) (uint64, error) {
	if err := checkSlot(slot); err != nil {
		return 0, err
	}
	var values []uint64
	err := c.objects.Redirected.Lookup(slot, &values)
	return sum(values), failed("BPF_MAP_LOOKUP_ELEM", fmt.Sprintf("slot %d", slot), err)
}

// sum adds up what all CPUs have counted.
func sum(values []uint64) (total uint64) {
	for _, n := range values {
		total += n
	}
	return total
}
