// SPDX-License-Identifier: MIT

package xsk

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Bits of [Desc.Options].
const (
	OptionContinued = unix.XDP_PKT_CONTD   // the packet goes on in the next descriptor
	OptionMetadata  = unix.XDP_TX_METADATA // there is metadata right before the packet
)

// MetadataSize is how many bytes of metadata stand right before a packet to send
// that has [OptionMetadata], struct xsk_tx_metadata up to its checksum request.
const MetadataSize = 16

// RequestChecksum writes the metadata that asks for a checksum: over the packet
// from byte start to its end, to be stored offset bytes behind start, where the sum of
// the pseudo-header stands already. It writes the first [MetadataSize] bytes of
// metadata, which end where the packet begins; start and offset count in bytes.
func RequestChecksum(metadata []byte, start, offset uint16) {
	_ = metadata[MetadataSize-1]
	binary.NativeEndian.PutUint64(metadata, unix.XDP_TXMD_FLAGS_CHECKSUM)
	binary.NativeEndian.PutUint16(metadata[8:], start)
	binary.NativeEndian.PutUint16(metadata[10:], offset)
	binary.NativeEndian.PutUint32(metadata[12:], 0)
}
