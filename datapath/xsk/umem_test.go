// SPDX-License-Identifier: MIT

package xsk

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestPacket(t *testing.T) {
	u := &UMEM{Memory: make([]byte, 4*testChunk), Chunk: testChunk}
	if n := u.Chunks(); n != 4 {
		t.Errorf("%d chunks", n)
	}
	for _, test := range []struct {
		d     Desc
		chunk uint32
		ok    bool
	}{
		{Desc{Addr: 0, Len: testChunk}, 0, true},
		{Desc{Addr: 256, Len: testChunk - 256}, 0, true},
		{Desc{Addr: 256, Len: testChunk - 255}, 0, false},
		{Desc{Addr: 4*testChunk - 1, Len: 1}, 3, true},
		{Desc{Addr: 4*testChunk - 1, Len: 2}, 0, false},
		{Desc{Addr: 4 * testChunk, Len: 0}, 0, false},
		{Desc{Addr: ^uint64(0), Len: 1}, 0, false},
		{Desc{Addr: 1<<48 | 256, Len: 60}, 0, false},
		{Desc{Addr: testChunk, Len: ^uint32(0)}, 0, false},
		{Desc{Addr: testChunk + 9, Len: 0}, 1, true},
	} {
		p, chunk, ok := u.Packet(test.d)
		if ok != test.ok || chunk != test.chunk || ok && len(p) != int(test.d.Len) {
			t.Errorf("%+v: %d bytes, chunk %d, %v", test.d, len(p), chunk, ok)
		}
	}
}

// Whatever a descriptor says, its packet is inside its chunk.
func TestPacketIsInsideItsChunk(t *testing.T) {
	u := &UMEM{Memory: make([]byte, 4*testChunk), Chunk: testChunk}
	rapid.Check(t, func(t *rapid.T) {
		d := Desc{
			Addr: rapid.OneOf(rapid.Uint64Range(0, 5*testChunk), rapid.Uint64()).Draw(t, "address"),
			Len:  rapid.OneOf(rapid.Uint32Range(0, 2*testChunk), rapid.Uint32()).Draw(t, "length"),
		}
		p, chunk, ok := u.Packet(d)
		if !ok || len(p) == 0 {
			return
		}
		at := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p))) - uintptr(unsafe.Pointer(&u.Memory[0])))
		end := at + uint64(len(p))
		if at != d.Addr || len(p) != int(d.Len) || cap(p) != len(p) || at/testChunk != uint64(chunk) || end > uint64(chunk+1)*testChunk {
			t.Fatalf("%+v: from %d to %d, chunk %d", d, at, end, chunk)
		}
	})
}
