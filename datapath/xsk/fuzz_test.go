// SPDX-License-Identifier: MIT

package xsk

import (
	"testing"

	"pgregory.net/rapid"
)

// play runs actors in the order that data says, and in turn when that has run out, so
// that worlds too large for explore are looked into too.
func play(t *testing.T, data []byte, build func(*world)) {
	w := &world{}
	build(w)
	defer w.close()
	for turn := 0; w.look() && !t.Failed(); turn++ {
		choice := turn % len(w.ready)
		if len(data) > 0 {
			choice = int(data[0]) % (len(w.ready) + len(w.mortal))
			data = data[1:]
		}
		w.do(choice)
		w.memory()
	}
	w.atEnd()
}

func addOrders(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x01\x02\x03\x03\x03\x03\x02\x02\x02\x02\x01\x01\x01\x01"))
	f.Add([]byte("any order will do as a seed, and this one is long enough to go around the ring more than once"))
}

func FuzzFillOrder(f *testing.F) {
	addOrders(f)
	order := fillOrder{start: ^uint32(0) - 5, size: 4, members: 3, chunks: 3, to: []int{0, 1, 2, 1, 1, 0, 2, 2, 0, 1, 0, 2}, killable: true}
	f.Fuzz(func(t *testing.T, data []byte) {
		play(t, data, func(w *world) { order.build(t, w) })
	})
}

func FuzzCompletionOrder(f *testing.F) {
	addOrders(f)
	order := flightOrder{start: ^uint32(0) - 5, size: 2, limit: 3, flights: []int{3, 0, 4, 2}, killable: true}
	f.Fuzz(func(t *testing.T, data []byte) {
		play(t, data, func(w *world) { order.build(t, w) })
	})
}

func FuzzRing(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		checkRing(t, func(n uint32) Desc { return Desc{uint64(n) << 32, n, ^n} })
	}))
}

func FuzzIndexLies(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(rapid.MakeFuzz(checkIndexLies))
}

func FuzzFillLies(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(rapid.MakeFuzz(checkFillLies))
}

func FuzzCompletionLies(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(rapid.MakeFuzz(checkCompletionLies))
}
