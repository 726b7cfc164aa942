// SPDX-License-Identifier: MIT

package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// answer is what a server sends to a request.
func answer(r request, name string) []byte {
	reply := make([]byte, replyLength)
	copy(reply, "DEMO")
	copy(reply[4:16], name)
	binary.BigEndian.PutUint64(reply[24:], uint64(r.length))
	payload := patternAt(r.seed, 0, int(r.length))
	digest := sha256.Sum256(payload)
	return append(append(reply, payload...), digest[:]...)
}

func TestReceive(t *testing.T) {
	r := request{seed: 77, length: 50_000}
	digest := sha256.Sum256(patternAt(r.seed, 0, int(r.length)))
	good := answer(r, "0a0b")
	changed := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	for _, test := range []struct {
		name   string
		answer []byte
		want   string // part of the error
	}{
		{"good", good, ""},
		{"empty", nil, "receive the reply"},
		{"no reply", changed(0), "is no reply"},
		{"another length", changed(31), "is no reply"},
		{"another server", answer(r, "0c0d"), "misrouted"},
		{"first byte", changed(replyLength), "byte 0 of the echo is wrong"},
		{"a byte in the middle", changed(replyLength + 40_000), "byte 40000 of the echo is wrong"},
		{"last byte", changed(replyLength + 49_999), "byte 49999 of the echo is wrong"},
		{"digest", changed(len(good) - 1), "got other bytes"},
		{"short", good[:1000], "receive at"},
		{"no digest", good[:len(good)-sha256.Size], "got other bytes"},
		{"too long", append(bytes.Clone(good), 0), "got other bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := r.receive(bytes.NewReader(test.answer), spec{identifier: []byte{0x0a, 0x0b}},
				func() ([sha256.Size]byte, error) { return digest, nil })
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("receive = %v, want %q", err, test.want)
			}
		})
	}
}

func TestReceiveTellsWhyNothingWasSent(t *testing.T) {
	r := request{length: 10}
	want := errors.New("no")
	err := r.receive(bytes.NewReader(answer(r, "plain")), spec{},
		func() ([sha256.Size]byte, error) { return [sha256.Size]byte{}, want })
	if !errors.Is(err, want) {
		t.Errorf("receive = %v, want %v", err, want)
	}
}

func TestPattern(t *testing.T) {
	long := patternAt(5, 0, patternPeriod)
	for _, offset := range []int64{0, 1, 1000, patternPeriod - 1, patternPeriod, 3*patternPeriod + 17} {
		piece := patternAt(5, offset, 2000)
		for i, b := range piece {
			if want := long[(offset+int64(i))%patternPeriod]; b != want {
				t.Fatalf("byte %d at offset %d is %d, want %d", i, offset, b, want)
			}
		}
	}
	// A packet in another's place shows, whatever its size.
	for shift := int64(1); shift < patternPeriod; shift++ {
		if patternMismatch(5, shift, long[:1000]) < 0 {
			t.Fatalf("the pattern repeats after %d bytes", shift)
		}
	}
}
