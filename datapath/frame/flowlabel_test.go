// SPDX-License-Identifier: MIT

package frame

import "testing"

// Flows that differ in little spread over the labels as if drawn by chance.
func TestFlowLabelsSpread(t *testing.T) {
	const count, buckets = 1 << 16, 64
	for name, vary := range map[string]func(f *Flow, i int){
		"source port":      func(f *Flow, i int) { f.SourcePort = uint16(i) },
		"destination port": func(f *Flow, i int) { f.DestinationPort = uint16(i) },
		"source":           func(f *Flow, i int) { f.Source[14], f.Source[15] = byte(i>>8), byte(i) },
		"destination net":  func(f *Flow, i int) { f.Destination[4], f.Destination[5] = byte(i>>8), byte(i) },
	} {
		var low, high [buckets]int
		for i := range count {
			f := flow6
			vary(&f, i)
			label := flowLabel(&f)
			if label == 0 || label >= 1<<flowLabelBits {
				t.Fatalf("%s: label %#x", name, label)
			}
			low[label%buckets]++
			high[label*buckets>>flowLabelBits]++
		}
		const mean = count / buckets // 1024: six standard deviations are 190
		for i := range buckets {
			if min(low[i], high[i]) < mean-190 || max(low[i], high[i]) > mean+190 {
				t.Errorf("%s: bucket %d has %d and %d of about %d", name, i, low[i], high[i], mean)
			}
		}
	}
}

func TestFlowLabelDependsOnTheFlowAlone(t *testing.T) {
	f := flow6
	f.SourceMAC, f.DestinationMAC, f.TrafficClass, f.HopLimit = MAC{}, MAC{}, 0, 0
	if a, b := flowLabel(&f), flowLabel(&flow6); a != b {
		t.Errorf("labels %#x and %#x", a, b)
	}
	f.Source, f.Destination = f.Destination, f.Source
	if a, b := flowLabel(&f), flowLabel(&flow6); a == b {
		t.Errorf("both directions have label %#x", a)
	}
}

func TestFlowLabelIsNeverZero(t *testing.T) {
	for i := range 1 << 22 { // about four of them hash to 0
		f := Flow{SourcePort: uint16(i), DestinationPort: uint16(i >> 16)}
		if flowLabel(&f) == 0 {
			t.Fatalf("%+v", f)
		}
	}
}
