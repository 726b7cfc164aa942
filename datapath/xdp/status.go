// SPDX-License-Identifier: MIT

package xdp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
)

// Level is how important a [Note] is.
type Level uint8

// As in msquicxdp.h.
const (
	Warning Level = 2
	Info    Level = 3
)

// Note is something for people to read that has happened to the engine.
type Note struct {
	Level Level
	Text  string
}

// note keeps one until somebody fetches it. The caller has mu.
func (n *network) note(level Level, format string, args ...any) {
	if len(n.notes) < maxNotes && !n.engine.mapped {
		n.notes = append(n.notes, Note{level, fmt.Sprintf(format, args...)})
	}
	n.changed = true
}

// maxNotes bounds what is kept while nobody fetches it.
const maxNotes = 64

// Note takes the oldest note, if there is one.
func (e *Engine) Note() (note Note, ok bool) {
	n := e.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.notes) == 0 {
		return note, false
	}
	note, n.notes = n.notes[0], n.notes[1:]
	return note, true
}

// Status is what an engine serves, and what it does not, at one time.
type Status struct {
	Slot       uint32            `json:"slot"`    // by which programs and pools know the engine
	Sockets    int               `json:"sockets"` // that asked for XDP
	Rules      int               `json:"rules"`
	Interfaces []InterfaceStatus `json:"interfaces"` // all of the namespace, by number
}

// InterfaceStatus is what is so of one interface.
type InterfaceStatus struct {
	Index     int           `json:"index"`
	Name      string        `json:"name"`
	MTU       int           `json:"mtu"`
	Up        bool          `json:"up"`
	Served    bool          `json:"served"`
	Reason    string        `json:"reason,omitempty"`     // why not, or not wholly
	Mode      string        `json:"mode,omitempty"`       // of the program: native, generic
	NotNative string        `json:"not_native,omitempty"` // why it is generic
	Coverage  string        `json:"coverage,omitempty"`   // queues served of those there are: 3/4
	Queues    []QueueStatus `json:"queues,omitempty"`
	TooLong   uint64        `json:"too_long,omitempty"` // packets that the kernel got for their length
	Hint      string        `json:"hint,omitempty"`     // what to change
}

// QueueStatus is what is so of one queue.
type QueueStatus struct {
	Number    int  `json:"number"`
	ZeroCopy  bool `json:"zero_copy"`
	HugePages bool `json:"huge_pages"` // under the memory of its pool
	Watched   bool `json:"watched"`    // a worker looks at it
}

// Status looks at everything. It may be called at any time.
func (e *Engine) Status() Status {
	e.mu.Lock()
	s := Status{Slot: e.net.member.Slot(), Sockets: len(e.receivers), Rules: e.rules()}
	e.mu.Unlock()
	n := e.net
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.devices {
		s.Interfaces = append(s.Interfaces, d.status())
	}
	slices.SortFunc(s.Interfaces, func(a, b InterfaceStatus) int { return a.Index - b.Index })
	return s
}

// status describes a device. The caller has mu.
func (d *device) status() InterfaceStatus {
	s := InterfaceStatus{Index: d.link.index, Name: d.link.name, MTU: d.link.mtu, Up: d.link.up, Served: d.served}
	if d.reason != nil {
		s.Reason = strings.ReplaceAll(d.reason.Error(), "\n", "; ")
	}
	for _, q := range d.queues {
		s.Queues = append(s.Queues, QueueStatus{q.number, q.zeroCopy, q.hugePages, q.state == watched})
	}
	if d.served {
		s.Coverage = d.coverage()
	}
	if d.program == nil { // not served, or in map mode
		return s
	}
	s.Mode = d.program.mode.String()
	if d.program.notNative != nil {
		s.NotNative = strings.ReplaceAll(d.program.notNative.Error(), "\n", "; ")
	}
	if counters, _, err := d.program.Counters(); err == nil {
		s.TooLong = counters[classifier.TooLong]
	}
	if s.TooLong > 0 && d.program.mode == classifier.Generic {
		s.Hint = tooLongHint(s.TooLong)
	}
	return s
}

// coverage says how many queues are served of those there are. The caller has mu.
func (d *device) coverage() string {
	served := 0
	for _, q := range d.queues {
		if q.state == waiting || q.state == watched {
			served++
		}
	}
	return fmt.Sprintf("%d/%d", served, max(d.total, served))
}

// describe says in a few words how a device is served. The caller has mu.
func (d *device) describe() string {
	copying := "copy"
	if d.queues[0].zeroCopy {
		copying = "zero-copy"
	}
	return fmt.Sprintf("%v mode, %s, %s queues", d.program.mode, copying, d.coverage())
}

func tooLongHint(count uint64) string {
	return fmt.Sprintf("%d packets were longer than %d bytes, and went to the kernel's sockets: "+
		"in generic mode a peer on the same host sends several datagrams as one; "+
		"have it segment them (ethtool -K <peer> tx-udp-segmentation off)", count, longestPacket)
}
