// SPDX-License-Identifier: MIT

package blocktest

import "github.com/msquicxdp/msquicxdp/datapath/batch"

// Test is what [NewTx] needs of a test; package rapid's have it too.
type Test interface {
	Helper()
	Fatalf(format string, args ...any)
}

// NewTx makes a send of these datagrams, as capi/send.c leaves it. Addresses
// and traffic class are the caller's to fill in.
//
// With a segment size other than 0 every datagram but the last must have it.
func NewTx(t Test, segment int, datagrams ...[]byte) *batch.Tx {
	t.Helper()
	if len(datagrams) > batch.TxSegments {
		t.Fatalf("%d datagrams in one send, %d fit", len(datagrams), batch.TxSegments)
	}
	tx := new(batch.Tx)
	tx.Max, tx.Segment = uint16(segment), uint16(segment)
	for i, d := range datagrams {
		last := i == len(datagrams)-1
		if len(d) == 0 || segment != 0 && (len(d) > segment || len(d) < segment && !last) {
			t.Fatalf("datagram %d of %d has %d bytes, a segment %d", i+1, len(datagrams), len(d), segment)
		}
		if copy(tx.Data[tx.Total:], d) != len(d) {
			t.Fatalf("datagram %d of %d does not fit", i+1, len(datagrams))
		}
		tx.Length[i] = uint16(len(d))
		tx.Count++
		tx.Total += uint32(len(d))
	}
	return tx
}
