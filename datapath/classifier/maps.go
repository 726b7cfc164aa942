// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"fmt"
	"time"

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

// The kernel allots the memory of entries ahead of time, in the background. It may need a
// moment when many are put at once, and gives no sign when it has passed.
const (
	patience = time.Second      // how long to wait for that
	pause    = time.Millisecond // between two attempts
)

// put adds or changes an entry of a hash map.
func put(m *ebpf.Map, entry string, key, value any, flags ebpf.MapUpdateFlags) error {
	deadline := time.Now().Add(patience)
	err := m.Update(key, value, flags)
	for errors.Is(err, unix.ENOMEM) && time.Now().Before(deadline) {
		time.Sleep(pause)
		err = m.Update(key, value, flags)
	}
	return failed("BPF_MAP_UPDATE_ELEM", entry, err)
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
