// SPDX-License-Identifier: MIT

package xdp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/xsk"
)

// Env is the environment variable by which a C program's user lists the interfaces to serve
// (capi/options.c).
const Env = "MSQUICXDP_INTERFACES"

// Options say which interfaces an engine may serve, and how. Zero values are
// defaults. Each is kept to, or an interface is not served and says why.
type Options struct {
	Interfaces List            // those to serve; empty: all that are worth it
	Deny       List            // those never to serve, also when Interfaces names them
	Attach     classifier.Mode // where the program is to run
	ZeroCopy   ZeroCopy
	Transmit   Transmit
}

// ZeroCopy says whether devices may, or must, read and write packets themselves.
type ZeroCopy uint8

const (
	ZeroCopyAuto    ZeroCopy = iota // where the driver has it
	ZeroCopyRequire                 // an interface without it is not served
	ZeroCopyNever                   // the kernel copies
)

// mode is how a pool is to be made.
func (z ZeroCopy) mode() xsk.Mode {
	switch z {
	case ZeroCopyRequire:
		return xsk.ModeZeroCopy
	case ZeroCopyNever:
		return xsk.ModeCopy
	}
	return xsk.ModeAny
}

// refuses says why a queue is not as was asked for: who joins a pool gets it as its
// maker has made it.
func (z ZeroCopy) refuses(zeroCopy bool) error {
	switch {
	case z == ZeroCopyRequire && !zeroCopy:
		return fmt.Errorf("it is in copy mode, as the process that serves it already has made it, and zero-copy is required")
	case z == ZeroCopyNever && zeroCopy:
		return fmt.Errorf("it is in zero-copy mode, as the process that serves it already has made it, which is ruled out")
	}
	return nil
}

// List names interfaces. In a name * stands for any characters, and ? for one.
type List []string

// ParseList reads names with commas between them.
func ParseList(text string) (l List, err error) {
	if text == "" {
		return nil, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f }) {
			return nil, fmt.Errorf("interfaces %q: %q is no name of an interface; write names with commas between them, in which * stands for any characters and ? for one", text, name)
		}
		l = append(l, name)
	}
	return l, nil
}

// names reports whether the list names an interface.
func (l List) names(name string) bool {
	return slices.ContainsFunc(l, func(pattern string) bool { return matches(pattern, name) })
}

func (l List) String() string { return strings.Join(l, ",") }

func matches(pattern, name string) bool {
	for i := range len(pattern) {
		switch {
		case pattern[i] == '*':
			rest := pattern[i+1:]
			for skip := i; skip <= len(name); skip++ {
				if matches(rest, name[skip:]) {
					return true
				}
			}
			return false
		case i >= len(name) || pattern[i] != '?' && pattern[i] != name[i]:
			return false
		}
	}
	return len(pattern) == len(name)
}
