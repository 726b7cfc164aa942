// SPDX-License-Identifier: MIT

package pool

import "testing"

func TestMembersShareAQueue(t *testing.T) {
	w := newWire(t)
	var queues []*Queue
	var members []*Member
	for range 3 {
		m := w.open()
		members = append(members, m)
		queues = append(queues, w.join(m, Options{}))
	}
	for round := range uint64(20) {
		for i, m := range members {
			for n := range uint64(10) {
				w.send(packet(m.Slot(), round*10+n, 100+int(n)))
			}
			got, err := queues[i].take(10)
			if err != nil {
				t.Fatal(err)
			}
			for n, p := range got {
				if number(p) != round*10+uint64(n) || len(p) != 100+n || mark(p) != m.Slot() {
					t.Fatalf("member %d got %x", i, p)
				}
			}
		}
		c := w.audit(members[round%3])
		if len(c.Seats) != 3 {
			t.Errorf("%v", c)
		}
	}
	for _, q := range queues {
		if err := q.put(packet(nobody, 1, 100), packet(nobody, 2, 200)); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 2048)
	for range 6 {
		if n, err := readPacket(w.sender, buf); err != nil || n < 100 {
			t.Fatal(n, err)
		}
	}
	t.Log(w.audit(members[0]))
	if err := queues[0].Leave(); err != nil {
		t.Fatal(err)
	}
	t.Log(w.audit(members[1]))
	t.Log(members[0].Events(), members[2].Events())
}
