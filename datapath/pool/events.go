// SPDX-License-Identifier: MIT

package pool

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Event is something that happened to another member.
type Event struct {
	Time time.Time
	Kind EventKind
	Peer // PID is 0 where it is not known

	// Of recoveries:
	Ifindex, Queue int
	Chunks         int           // given back
	Duration       time.Duration // from when the member was found gone
	Err            error         // what was refused on the way
}

// EventKind is what an [Event] tells.
type EventKind uint8

const (
	Came      EventKind = 1 + iota // a member opened, or was there
	Left                           // a member closed
	Died                           // a member ended without that, or can no more be talked to
	Recovered                      // this member gave back what a dead one had
)

// String returns the name of the kind.
func (k EventKind) String() string {
	return [...]string{"?", "came", "left", "died", "recovered"}[min(k, Recovered)]
}

// String is the event in a line.
func (e Event) String() string {
	s := fmt.Sprintf("%v %v", e.Kind, e.Peer)
	if e.Kind == Recovered {
		s = fmt.Sprintf("%s: %d chunks of interface %d, queue %d in %v", s, e.Chunks, e.Ifindex, e.Queue, e.Duration)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// journal keeps the latest events.
type journal struct {
	mu     sync.Mutex
	events []Event
}

const maxEvents = 64

func (j *journal) add(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Time = time.Now()
	if len(j.events) == maxEvents {
		j.events = slices.Delete(j.events, 0, 1)
	}
	j.events = append(j.events, e)
}

// Events returns the latest events, oldest first.
func (m *Member) Events() []Event {
	m.events.mu.Lock()
	defer m.events.mu.Unlock()
	return slices.Clone(m.events.events)
}
