// SPDX-License-Identifier: MIT

package reserve

import (
	"fmt"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Range is one or more neighbouring ports of a protocol.
type Range struct {
	Proto rules.Proto `json:"proto"`
	Start uint16      `json:"start"`
	Count uint16      `json:"count"` // at least 1
}

// Last returns the last port of a valid range.
func (r Range) Last() uint16 { return r.Start + r.Count - 1 }

// String returns "udp 4433" or "udp 4433-4440".
func (r Range) String() string {
	return fmt.Sprintf("%v %s", r.Proto, rangeText(r.Start, r.Last()))
}

// Contains says whether the port is one of a valid range.
func (r Range) Contains(proto rules.Proto, port uint16) bool {
	return r.Proto == proto && port >= r.Start && port <= r.Last()
}

// Overlaps says whether two valid ranges have a port in common.
func (r Range) Overlaps(other Range) bool {
	return r.Proto == other.Proto && r.Start <= other.Last() && other.Start <= r.Last()
}

// before orders ranges that do not overlap.
func (r Range) before(other Range) bool {
	if r.Proto != other.Proto {
		return r.Proto < other.Proto
	}
	return r.Last() < other.Start
}

// Validate returns an error that says what is wrong with a range.
func (r Range) Validate() error {
	switch {
	case r.Proto != rules.UDP && r.Proto != rules.TCP:
		return fmt.Errorf("protocol %v cannot be reserved, only %v and %v", r.Proto, rules.UDP, rules.TCP)
	case r.Start == 0:
		return fmt.Errorf("port 0 cannot be reserved: it means any port")
	case r.Count == 0:
		return fmt.Errorf("a reservation of no ports at %v %d: count must be at least 1", r.Proto, r.Start)
	case int(r.Start)+int(r.Count)-1 > lastPort:
		return fmt.Errorf("%d ports from %v %d on go past port %d", r.Count, r.Proto, r.Start, lastPort)
	}
	return nil
}
