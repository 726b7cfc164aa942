// SPDX-License-Identifier: MIT

package steering

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Counters tell what became of the datagrams of a group since it was made. Each
// is counted exactly once. One that GSO or GRO has coalesced counts as one.
type Counters struct {
	Delivered         uint64 // given to the socket of a process; its buffer may still overflow
	TooShort          uint64 // dropped: ends within the header, or before the identifier does
	NoIdentifier      uint64 // dropped: its connection ID ends before the identifier would
	UnknownIdentifier uint64 // dropped: nobody has its identifier
	DeadMember        uint64 // dropped: the process that had its identifier, or the socket for its CPU, is gone
	NoSocket          uint64 // dropped: the kernel does not give datagrams of this address to the socket
}

// Counters reads the counters.
func (g *Group) Counters() (Counters, error) {
	var c Counters
	for verdict, to := range map[bpf.ReuseportVerdict]*uint64{
		bpf.ReuseportVerdictDELIVERED:          &c.Delivered,
		bpf.ReuseportVerdictTOO_SHORT:          &c.TooShort,
		bpf.ReuseportVerdictNO_IDENTIFIER:      &c.NoIdentifier,
		bpf.ReuseportVerdictUNKNOWN_IDENTIFIER: &c.UnknownIdentifier,
		bpf.ReuseportVerdictDEAD_MEMBER:        &c.DeadMember,
		bpf.ReuseportVerdictNO_SOCKET:          &c.NoSocket,
	} {
		var err error
		if *to, err = sum(g.objects.Verdicts, bpf.ReuseportMapVerdicts, uint32(verdict)); err != nil {
			return Counters{}, err
		}
	}
	return c, nil
}

// Delivered returns how many datagrams the sockets of a slot have got since the
// group was made, those of its former owners included.
func (g *Group) Delivered(slot uint32) (uint64, error) {
	if slot >= MaxSlots {
		return 0, noSlot(slot)
	}
	return sum(g.objects.Delivered, bpf.ReuseportMapDelivered, slot)
}

// sum adds up what all CPUs have counted.
func sum(m *ebpf.Map, name string, index uint32) (total uint64, err error) {
	var counters []uint64
	if err := m.Lookup(index, &counters); err != nil {
		return 0, kerr.New("bpf", fmt.Sprintf("BPF_MAP_LOOKUP_ELEM, %s[%d]", name, index), err, "")
	}
	for _, n := range counters {
		total += n
	}
	return total, nil
}
