// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// grants is what the maps of bind.bpf.c say of one network namespace.
type grants struct {
	ports   map[bpf.BindPort]Token
	permits map[bpf.BindPermit]uint8 // a set
}

func portKey(netns uint64, proto rules.Proto, port uint16) bpf.BindPort {
	return bpf.BindPort{Netns: netns, Protocol: uint32(proto), Number: port}
}

// grantsOf returns what the reservations that are to be enforced mean, and
// which these are.
func grantsOf(netns uint64, list []Reservation) (g grants, enforced []Token) {
	g = grants{map[bpf.BindPort]Token{}, map[bpf.BindPermit]uint8{}}
	for i := range list {
		if r := &list[i]; r.Enforce {
			g.add(netns, r)
			enforced = append(enforced, r.Token)
		}
	}
	return g, enforced
}

func (g *grants) add(netns uint64, r *Reservation) {
	for port := int(r.Start); port <= int(r.Last()); port++ {
		g.ports[portKey(netns, r.Proto, uint16(port))] = r.Token
	}
	for isGroup, ids := range [][]uint32{r.UIDs, r.GIDs} {
		for _, id := range ids {
			g.permits[bpf.BindPermit{Netns: netns, Reservation: uint64(r.Token), Id: id, IsGroup: uint32(isGroup)}] = 1
		}
	}
}

// fill makes the maps say so, for this network namespace and no other. No port
// is ever without those who are permitted: they come before it, and go after.
func (g *grants) fill(maps *bpf.BindMaps, netns uint64) error {
	if err := put(maps.Permits, g.permits); err != nil {
		return err
	}
	err := prune(maps.Ports, g.ports, func(k bpf.BindPort) bool { return k.Netns == netns })
	if err != nil {
		return err
	}
	if err := put(maps.Ports, g.ports); err != nil {
		return err
	}
	return prune(maps.Permits, g.permits, func(k bpf.BindPermit) bool { return k.Netns == netns })
}

func put[K comparable, V any](m *ebpf.Map, entries map[K]V) error {
	if len(entries) == 0 {
		return nil
	}
	keys, values := make([]K, 0, len(entries)), make([]V, 0, len(entries))
	for key, value := range entries {
		keys, values = append(keys, key), append(values, value)
	}
	_, err := m.BatchUpdate(keys, values, nil)
	return mapError("update", m, err)
}

// prune deletes those of our entries that are not among these.
func prune[K comparable, V any](m *ebpf.Map, entries map[K]V, ours func(K) bool) error {
	var stale []K
	var key K
	var value V
	all := m.Iterate()
	for all.Next(&key, &value) {
		if _, keep := entries[key]; ours(key) && !keep {
			stale = append(stale, key)
		}
	}
	if err := all.Err(); err != nil {
		return mapError("iterate", m, err)
	}
	for _, key := range stale {
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return mapError("delete", m, err)
		}
	}
	return nil
}

func mapError(op string, m *ebpf.Map, err error) error {
	hint := ""
	if errors.Is(err, unix.E2BIG) {
		hint = "too many enforced ports, or too many users for them, in all network namespaces of this boot together"
	}
	return kerr.New("bpf", op+" "+m.String(), err, hint)
}
