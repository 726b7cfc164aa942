// SPDX-License-Identifier: MIT

package route

import (
	"encoding/binary"
	"iter"
	"net/netip"

	"golang.org/x/sys/unix"
)

// attrTypeMask leaves the type of an attribute; the two top bits are flags
// (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
const attrTypeMask = 0x3fff

// attributes yields the type and value of each netlink attribute in b. It
// stops at one that does not fit: a message cut short must not bring down the
// process, as the indexing of the netlink package would.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			size := int(binary.NativeEndian.Uint16(b))
			kind := binary.NativeEndian.Uint16(b[2:]) & attrTypeMask
			if size < unix.SizeofRtAttr || size > len(b) {
				return
			}
			if !yield(kind, b[unix.SizeofRtAttr:size]) {
				return
			}
			b = b[min(align(size), len(b)):]
		}
	}
}

// align rounds up to the four bytes at which netlink puts things.
func align(size int) int {
	return (size + 3) &^ 3
}

// after returns what follows a message's fixed header, or nothing.
func after(msg []byte, header int) []byte {
	return msg[min(align(header), len(msg)):]
}

// u32 reads a 32-bit attribute; one that is too short reads as 0.
func u32(value []byte) uint32 {
	if len(value) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(value)
}

// addr reads an address; the result is not valid if value is neither 4 nor 16
// bytes long.
func addr(value []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(value)
	return a
}
