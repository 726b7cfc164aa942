// SPDX-License-Identifier: MIT

package frame

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// agree parses a frame by a train, and by itself: the results are the same, whatever came before.
func agree(t failer, train *Train, frame []byte) (same bool) {
	t.Helper()
	before := train.Flow
	got, same := train.Parse(frame)
	var p Packet
	if want := Parse(frame, &p); got != want || want == OK && train.Packet != p {
		t.Fatalf("%x: %v, %+v, want %v, %+v", frame, got, train.Packet, want, p)
	}
	if same && train.Flow != before {
		t.Fatalf("%+v is said to be %+v", train.Flow, before)
	}
	return same
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Frames of one flow are recognised, whatever their lengths.
func TestTrainRuns(t *testing.T) {
	for _, flow := range []Flow{flow4, flow6} {
		var train Train
		for i, n := range []int{1252, 1252, 22, 1400, 23} {
			frame := frameOf(t, &flow, string(make([]byte, n)), Full)
			if same := agree(t, &train, frame); same != (i > 0) {
				t.Errorf("%v, payload %d of %d bytes: same flow %v", flow.Source, i, n, same)
			}
		}
	}
}

// Each byte of the headers changed in each way: those that may change in a run are the only
// ones to be passed over.
func TestTrainSeesEveryByte(t *testing.T) {
	for _, flow := range []Flow{flow4, flow6} {
		first := frameOf(t, &flow, string(make([]byte, 40)), Full)
		for at := range MaxLen {
			for change := 1; change < 256; change++ {
				for _, fix := range []bool{false, true} {
					frame := bytes.Clone(first)
					frame[at] ^= byte(change)
					if fix {
						fixIPv4(frame)
					}
					var train Train
					agree(t, &train, first)
					agree(t, &train, frame)
					agree(t, &train, first)
				}
			}
		}
	}
}

// What changes in IPv4 from datagram to datagram.
func TestTrainKnowsIdentifications(t *testing.T) {
	var train Train
	frame := frameOf(t, &flow4, string(make([]byte, 40)), Full)
	for i := range 1 << 16 {
		frame = bytes.Clone(frame)
		frame[18], frame[19] = byte(i>>8), byte(i)
		fixIPv4(frame)
		if same := agree(t, &train, frame); same != (i > 0) {
			t.Fatalf("identification %d: same flow %v", i, same)
		}
		wrong, train := bytes.Clone(frame), train
		wrong[24]++
		if agree(t, &train, wrong) {
			t.Fatalf("identification %d: the checksum was not looked at", i)
		}
	}
}

// A frame that is no datagram ends a run.
func TestTrainEnds(t *testing.T) {
	var train Train
	frame := frameOf(t, &flow4, string(make([]byte, 40)), Full)
	options := append(fromHex("020000000002 020000000001 0800 46b9 0025 0000 4000 40 11 b309 c0000201 c0000202 01010101"),
		fromHex("1151 c350 000d 635c 68656c6c6f 0000 0000000000000000")...)
	for _, next := range [][]byte{nil, frame[:41], make([]byte, 100), options} {
		agree(t, &train, frame)
		agree(t, &train, next)
		if agree(t, &train, frame) {
			t.Errorf("%x was in a run", next)
		}
	}
}

// Trains of frames of few flows, damaged here and there.
func TestTrainAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flows := []Flow{anyFlow(t), anyFlow(t)}
		var train Train
		for range rapid.IntRange(2, 20).Draw(t, "frames") {
			flow := rapid.SampledFrom(flows).Draw(t, "flow")
			var h Headers
			if h.Set(&flow) != nil {
				t.Skip("a flow of both versions")
			}
			frame := make([]byte, h.Len()+rapid.IntRange(0, 60).Draw(t, "payload"))
			if err := h.Put(frame, Partial); err != nil {
				t.Fatal(err)
			}
			for range rapid.IntRange(0, 2).Draw(t, "damages") {
				frame[rapid.IntRange(0, len(frame)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
			if rapid.Bool().Draw(t, "fixed") {
				fixIPv4(frame)
			}
			agree(t, &train, frame[:rapid.IntRange(len(frame)-2, len(frame)).Draw(t, "length")])
		}
	})
}

// The second frame is the first with a part replaced, so that the two are mostly much alike.
func FuzzTrain(f *testing.F) {
	for _, flow := range []Flow{flow4, flow6} {
		frame := frameOf(f, &flow, string(make([]byte, 40)), Full)
		f.Add(frame, uint16(16), []byte{0, 60, 0, 1}, true)
		f.Add(frame, uint16(0), frameOf(f, &flow, string(make([]byte, 30)), Full), false)
	}
	f.Fuzz(func(t *testing.T, frame []byte, at uint16, part []byte, fix bool) {
		var train Train
		agree(t, &train, frame)
		next := bytes.Clone(frame)
		copy(next[min(int(at), len(next)):], part)
		if fix && len(next) > ethernetLen {
			fixIPv4(next)
		}
		agree(t, &train, next)
		agree(t, &train, frame)
	})
}

func BenchmarkTrain(b *testing.B) {
	for name, flow := range map[string]*Flow{"IPv4": &flow4, "IPv6": &flow6} {
		frame := frameOf(b, flow, string(make([]byte, 1252)), Full)
		other := bytes.Clone(frame)
		other[0]++
		for kind, next := range map[string][]byte{"same": frame, "others": other} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				var t Train
				for b.Loop() {
					t.Parse(frame)
					t.Parse(next)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2, "ns/frame")
			})
		}
	}
}
