// SPDX-License-Identifier: MIT

package batch

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestMessageIsMmsghdr(t *testing.T) {
	if size, offset := unsafe.Sizeof(Message{}), unsafe.Offsetof(Message{}.Len); size != 64 || offset != unsafe.Sizeof(unix.Msghdr{}) {
		t.Errorf("%d bytes, length at %d", size, offset)
	}
}

func TestTurnCanNameEveryLentBlock(t *testing.T) {
	if RxLent > 8*unsafe.Sizeof(Turn{}.Taken) {
		t.Errorf("%d blocks do not fit in Turn.Taken", RxLent)
	}
	if RxLent < 2*RxBatch {
		t.Errorf("%d blocks for %d messages: one of 128 segments needs two", RxLent, RxBatch)
	}
}

// C's allocator aligns a block to 16 bytes: more cannot be had inside it.
func TestSendDataIsAligned(t *testing.T) {
	if offset := unsafe.Offsetof(Tx{}.Data); offset%16 != 0 {
		t.Errorf("Tx.Data is at %d", offset)
	}
}

func TestSlotsFollowTheStride(t *testing.T) {
	const stride = uint32(unsafe.Sizeof(RxSlot{})) + 32
	mem := make([]unsafe.Pointer, RxSlots*stride/8) // aligned, and may hold pointers
	b := &Rx{Stride: stride, Slots: unsafe.Pointer(&mem[0])}
	for i := range uint32(RxSlots) {
		s := b.Slot(i)
		if got := uintptr(unsafe.Pointer(s)) - uintptr(b.Slots); got != uintptr(i*stride) {
			t.Fatalf("slot %d is at %d", i, got)
		}
	}
}

func TestBytesIsTheWholeBuffer(t *testing.T) {
	mem := make([]byte, IOBuffer)
	b := &Rx{Buffer: unsafe.Pointer(&mem[0])}
	if got := b.Bytes(); len(got) != IOBuffer || &got[0] != &mem[0] {
		t.Errorf("%d bytes", len(got))
	}
}

func TestEndpointsOfARequest(t *testing.T) {
	a, b := new(Endpoint), new(Endpoint)
	list := []*Endpoint{a, b}
	for count := range len(list) + 1 {
		req := Open{Endpoint: &list[0], Count: uint16(count)}
		got := req.Endpoints()
		if len(got) != count || count > 0 && got[count-1] != list[count-1] {
			t.Errorf("count %d: %v", count, got)
		}
	}
}

func TestSetReason(t *testing.T) {
	for _, test := range []struct {
		name string
		text string
		want string
	}{
		{"empty", "", ""},
		{"short", "bind: address in use", "bind: address in use"},
		{"several errors", "one\nand another", "one; and another"},
		{"fits exactly", strings.Repeat("x", ReasonSize-1), strings.Repeat("x", ReasonSize-1)},
		{"one too long", strings.Repeat("x", ReasonSize), strings.Repeat("x", ReasonSize-1)},
		{"far too long", strings.Repeat("x", 10*ReasonSize), strings.Repeat("x", ReasonSize-1)},
	} {
		var reason [ReasonSize]byte
		for i := range reason {
			reason[i] = '?' // an older and longer reason
		}
		SetReason(&reason, test.text)
		end := bytes.IndexByte(reason[:], 0)
		if end < 0 {
			t.Errorf("%s: no NUL", test.name)
		} else if got := string(reason[:end]); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
