// SPDX-License-Identifier: MIT

package reserve

import (
	"fmt"
	"iter"
	"math/bits"
	"strconv"
	"strings"
)

const lastPort = 1<<16 - 1

// portSet is a set of port numbers. The zero value is empty.
type portSet [(lastPort + 1) / 64]uint64

// addRange puts first to last, both included, into the set.
func (s *portSet) addRange(first, last uint16) {
	for p := int(first); p <= int(last); p++ {
		s[p/64] |= 1 << (p % 64)
	}
}

func (s *portSet) empty() bool { return *s == portSet{} }

func (s *portSet) union(other *portSet) *portSet {
	var r portSet
	for i := range s {
		r[i] = s[i] | other[i]
	}
	return &r
}

func (s *portSet) minus(other *portSet) *portSet {
	var r portSet
	for i := range s {
		r[i] = s[i] &^ other[i]
	}
	return &r
}

func (s *portSet) intersection(other *portSet) *portSet { return s.minus(s.minus(other)) }

// ranges yields the first and the last port of each unbroken run, in order.
func (s *portSet) ranges() iter.Seq2[uint16, uint16] {
	return func(yield func(uint16, uint16) bool) {
		for first := s.next(0, true); first <= lastPort; {
			end := s.next(first, false)
			if !yield(uint16(first), uint16(end-1)) {
				return
			}
			first = s.next(end, true)
		}
	}
}

// next returns the first port from p on that is in the set, or is not, and
// lastPort+1 when there is none.
func (s *portSet) next(p int, in bool) int {
	for p <= lastPort {
		word := s[p/64]
		if !in {
			word = ^word
		}
		if word >>= p % 64; word != 0 {
			return p + bits.TrailingZeros64(word)
		}
		p = (p/64 + 1) * 64
	}
	return lastPort + 1
}

// String writes the set as ip_local_reserved_ports does: "7,4433-4440".
func (s *portSet) String() string {
	var b strings.Builder
	for first, last := range s.ranges() {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(rangeText(first, last))
	}
	return b.String()
}

func rangeText(first, last uint16) string {
	if first == last {
		return strconv.Itoa(int(first))
	}
	return fmt.Sprintf("%d-%d", first, last)
}

// parsePortSet reads what [portSet.String] writes, and nothing else: no blanks,
// no signs, no range that runs backwards.
func parsePortSet(text string) (*portSet, error) {
	var s portSet
	if text == "" {
		return &s, nil
	}
	for item := range strings.SplitSeq(text, ",") {
		first, last, err := parseRange(item)
		if err != nil {
			return nil, err
		}
		s.addRange(first, last)
	}
	return &s, nil
}

// parseRange reads "4433" or "4433-4440".
func parseRange(text string) (first, last uint16, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if first, err = parsePort(from); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return first, first, nil
	}
	if last, err = parsePort(to); err != nil {
		return 0, 0, err
	}
	if last < first {
		return 0, 0, fmt.Errorf("port range %q runs backwards", text)
	}
	return first, last, nil
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a port number (0 to %d)", text, lastPort)
	}
	return uint16(n), nil
}
