// SPDX-License-Identifier: MIT

package xdp

import "testing"

func TestQueueOf(t *testing.T) {
	var n network
	n.serving.Store(&serving{queues: []*Queue{
		{ifindex: 3, number: 0, partition: 0},
		{ifindex: 5, number: 0, partition: 1}, {ifindex: 5, number: 1, partition: 3},
	}})
	for _, c := range []struct {
		ifindex   int
		partition uint16
		want      int // number, -1: none
	}{
		{4, 0, -1},
		{3, 0, 0}, {3, 7, 0},
		{5, 1, 0}, {5, 3, 1}, // its own worker's
		{5, 0, 0}, {5, 2, 0}, {5, 5, 1}, // another's, always the same
	} {
		q := n.queueOf(c.ifindex, c.partition)
		if (q == nil) != (c.want < 0) || q != nil && (q.ifindex != c.ifindex || q.number != c.want) {
			t.Errorf("interface %d, partition %d: %+v, want queue %d", c.ifindex, c.partition, q, c.want)
		}
	}
	n.serving.Store(&serving{})
	if n.queueOf(3, 0) != nil {
		t.Error("a queue where none is served")
	}
}
