// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// everywhere is the value of a map that has one for each CPU, when all say the same.
func everywhere[V any](c *Classifier, value V) []V {
	values := make([]V, c.cpus)
	for i := range values {
		values[i] = value
	}
	return values
}

var mapHint = map[unix.Errno]string{
	unix.E2BIG: "the map is full",
}

// failed words the error of an operation on an entry of a map.
func failed(operation, entry string, err error) error {
	return kerr.New("bpf", fmt.Sprintf("%s, %s", operation, entry), err, mapHint[kerr.Errno(err)])
}

// deleted words the error of deleting an entry, which may be gone already.
func deleted(entry string, err error) error {
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return failed("BPF_MAP_DELETE_ELEM", entry, err)
}

// each calls f for every entry of a map, with its values of all CPUs where it has
// several. The entries that others add or remove meanwhile are there or not.
func each[K, V any](c *Classifier, m *ebpf.Map, f func(key K, values []V)) error {
	const batch = 1024
	n := 1 // values of an entry
	if t := m.Type(); t == ebpf.PerCPUHash || t == ebpf.PerCPUArray {
		n = c.cpus
	}
	var cursor ebpf.MapBatchCursor
	keys, values := make([]K, batch), make([]V, batch*n)
	for {
		count, err := m.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return failed("BPF_MAP_LOOKUP_BATCH", m.String(), err)
		}
		for i := range count {
			f(keys[i], values[i*n:(i+1)*n])
		}
		if err != nil {
			return nil
		}
	}
}
