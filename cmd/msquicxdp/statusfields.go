// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/inspect"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

// status is what status prints as JSON. The names of the fields are there to stay;
// docs/CLI.md is printed from the tags.
type status struct {
	Time       time.Time          `json:"time" about:"when it was looked at, RFC 3339"`
	InUse      bool               `json:"in_use" about:"packets of an interface can reach an AF_XDP socket"`
	Verdict    string             `json:"verdict" about:"the same for people; why not, where it is not in use"`
	Warnings   []string           `json:"warnings" about:"what is not as it should be, and further reasons, for people"`
	Interfaces []statusInterface  `json:"interfaces" about:"by index"`
	Members    []statusMember     `json:"members" about:"by slot"`
	Queues     []statusQueue      `json:"queues" about:"receive queues that members serve, and where their frames are"`
	Sockets    []statusSocket     `json:"sockets" about:"AF_XDP sockets of members, by queue and seat"`
	Rules      []statusRule       `json:"rules" about:"ports and identifiers that the programs know, by interface and port"`
	Packets    []statusPackets    `json:"packets" about:"what became of packets, by interface and reason"`
	KernelOnly []statusKernelOnly `json:"kernel_only" about:"claims on ports that kernel sockets serve alone"`
	Hidden     []string           `json:"hidden,omitempty" about:"what could not be seen and why, for people"`
}

type statusInterface struct {
	Index       int    `json:"index" about:"of the interface"`
	Name        string `json:"name" about:"of the interface"`
	Up          bool   `json:"up" about:"it is up"`
	Program     uint32 `json:"program,omitempty" about:"number of its XDP program, if it has one"`
	ProgramName string `json:"program_name,omitempty" about:"name of the program, where it can be seen"`
	Ours        bool   `json:"ours" about:"the program is msquicxdp's"`
	Mode        string `json:"mode,omitempty" about:"native, generic or offloaded"`
	Queues      int    `json:"queues" about:"receive queues in use; 0 if it is not known"`
	Served      int    `json:"served" about:"of them with AF_XDP sockets of members"`
	InUse       bool   `json:"in_use" about:"packets can reach an AF_XDP socket"`
}

type statusMember struct {
	Slot    uint32    `json:"slot" about:"number by which the programs know it"`
	PID     int       `json:"pid,omitempty" about:"process; missing if it cannot be connected to, or is of another PID namespace"`
	Program string    `json:"program,omitempty" about:"name of the process, if it can be seen"`
	UID     int64     `json:"uid" about:"user; -1 if it is not known"`
	User    string    `json:"user,omitempty" about:"name of the user, if it has one"`
	Started time.Time `json:"started,omitzero" about:"when the process was started, RFC 3339"`
	Answers bool      `json:"answers" about:"it answers; false if its process is stopped"`
	Error   string    `json:"error,omitempty" about:"why it does not tell, for people"`
	Serves  []string  `json:"serves" about:"queues at which it has a seat: INTERFACE/QUEUE"`
}

type statusQueue struct {
	Interface string `json:"interface" about:"name"`
	Queue     int    `json:"queue" about:"number of the receive queue"`
	Members   int    `json:"members" about:"seats that are taken"`
	Most      int    `json:"most,omitempty" about:"seats that there are; this and what follows only where a member answers"`
	ZeroCopy  bool   `json:"zero_copy" about:"the device itself reads and writes the frames"`
	Frames    int    `json:"frames" about:"to receive into; the next three add up to it"`
	Fill      int    `json:"fill" about:"with the kernel"`
	Rings     int    `json:"rings" about:"in receive rings of members"`
	Missing   int    `json:"missing" about:"in neither: one is the kernel's; while packets come, those in processors' hands"`
	Idle      int    `json:"idle" about:"beside them, for members who have yet to come"`
	Send      int    `json:"send" about:"frames to send"`
	InFlight  int    `json:"in_flight" about:"of them on their way"`
}

type statusSocket struct {
	Interface  string `json:"interface" about:"name"`
	Queue      int    `json:"queue" about:"number of the receive queue"`
	Seat       int    `json:"seat" about:"in the pool of the queue"`
	Slot       uint32 `json:"slot" about:"of its member"`
	PID        int    `json:"pid,omitempty" about:"process, if it is known"`
	Program    string `json:"program,omitempty" about:"name of the process, if it can be seen"`
	Known      bool   `json:"known" about:"it could be looked at; else the counters are 0"`
	ZeroCopy   bool   `json:"zero_copy" about:"the device itself reads and writes its frames"`
	Ring       int    `json:"ring" about:"packets that wait in its receive ring"`
	InFlight   int    `json:"in_flight" about:"packets that it sends just now"`
	RXRingFull uint64 `json:"rx_ring_full" about:"packets dropped since its receive ring was full: the process is too slow, or stopped"`
	RXDropped  uint64 `json:"rx_dropped" about:"packets dropped for other reasons: no frame, or too long for one"`
	FillEmpty  uint64 `json:"fill_empty" about:"times that the kernel had no frame to receive into"`
	TXInvalid  uint64 `json:"tx_invalid" about:"packets to send that the kernel refused"`
	TXEmpty    uint64 `json:"tx_empty" about:"times that the kernel found nothing to send"`
}

type statusRule struct {
	Interface string `json:"interface" about:"name"`
	Port      uint16 `json:"port" about:"UDP port"`
	Shared    bool   `json:"shared" about:"the identifier says whose a datagram is"`
	Encoding  string `json:"encoding,omitempty" about:"of a shared port, where the identifier is in connection IDs: LENGTH@SOURCE/DESTINATION"`
	ID        string `json:"id,omitempty" about:"CIBIR identifier, in hexadecimal digits; missing too where nobody who shares the port has one there"`
	Slot      int    `json:"slot" about:"of the member that gets the datagrams; -1 if there is none"`
	PID       int    `json:"pid,omitempty" about:"process of the member, if it is known"`
	Program   string `json:"program,omitempty" about:"name of the process, if it can be seen"`
	Packets   uint64 `json:"packets" about:"redirected by identifier; of a port that is not shared, by slot, which may have other ports too"`
}

type statusPackets struct {
	Interface string `json:"interface" about:"name"`
	Reason    string `json:"reason" about:"what became of them: redirected to an AF_XDP socket, or passed to the kernel because of this"`
	Packets   uint64 `json:"packets" about:"since the program was made"`
}

type statusKernelOnly struct {
	Proto   string `json:"proto" about:"udp or tcp"`
	Port    uint16 `json:"port" about:"the port"`
	Kind    string `json:"kind" about:"listener, client, cibir, qtip"`
	ID      string `json:"id,omitempty" about:"CIBIR identifier, in hexadecimal digits"`
	PID     int    `json:"pid,omitempty" about:"process, as it sees itself; missing if it is not known"`
	Program string `json:"program,omitempty" about:"what the process calls itself"`
	Asked   bool   `json:"asked" about:"it asked for XDP"`
	Why     string `json:"why" about:"why AF_XDP does not serve it, for people"`
}

func (t *tool) statusMember(r *inspect.Report, m *inspect.Member) statusMember {
	s := statusMember{
		Slot: m.Slot, PID: m.PID, Program: printable(m.Program), UID: -1, Started: m.Started.UTC(),
		Answers: m.Err == nil, Serves: []string{},
	}
	if m.Started.IsZero() {
		s.Started = time.Time{}
	}
	if m.PID != 0 {
		s.UID, s.User = int64(m.UID), printable(t.machine.userName(m.UID))
	}
	if m.Err != nil {
		s.Error = printable(m.Err.Error())
	}
	for _, i := range r.Interfaces {
		for _, p := range i.Pools {
			if p.Account != nil && p.Account.Seats(m.Slot) {
				s.Serves = append(s.Serves, queueName(i.Name, p.Queue))
			}
		}
	}
	return s
}

func queueName(name string, queue int) string { return fmt.Sprintf("%s/%d", printable(name), queue) }

func (t *tool) statusKernelOnly(k inspect.KernelOnly) statusKernelOnly {
	s := statusKernelOnly{
		Proto: k.Proto.String(), Port: k.Port, Kind: k.Party.Kind.String(), PID: k.Party.Process,
		Program: printable(k.Party.Program), Asked: k.Party.XDP, Why: printable(k.Why),
	}
	if k.Party.ID.Len() != 0 {
		s.ID = k.Party.ID.String()
	}
	return s
}

// addInterface adds an interface and all that is of it.
func (s *status) addInterface(r *inspect.Report, i *inspect.Interface) {
	line := statusInterface{
		Index: i.Index, Name: printable(i.Name), Up: i.Up, Program: i.Occupant.Program, ProgramName: printable(i.Occupant.Name),
		Ours: i.Ours, Queues: i.Queues, Served: i.Served(), InUse: i.InUse(),
	}
	if line.Program != 0 {
		line.Mode = i.Occupant.Mode.String()
	}
	s.Interfaces = append(s.Interfaces, line)
	for _, p := range i.Pools {
		s.addQueue(r, line.Name, &p)
	}
	if i.Rules == nil {
		return
	}
	for _, p := range i.Rules.Ports {
		s.addRules(r, line.Name, i.Rules, p)
	}
	for _, reason := range inspect.Reasons() {
		s.Packets = append(s.Packets, statusPackets{line.Name, reason.String(), i.Rules.Packets[reason]})
	}
}

func (s *status) addQueue(r *inspect.Report, name string, p *pool.ObservedPool) {
	line := statusQueue{Interface: name, Queue: p.Queue, Members: p.Seats}
	if a := p.Account; a != nil {
		c := &a.Census
		line.Most, line.ZeroCopy = a.Most, inspect.CopyingOf(p) == "zero-copy"
		line.Frames, line.Fill, line.Rings, line.Missing, line.Idle = c.Receive, c.Fill, c.Ring, c.Missing, c.Idle
		line.Send, line.InFlight = c.Send, c.InFlight
		for n, seat := range c.Seats {
			k := a.Sockets[n]
			one := statusSocket{
				Interface: name, Queue: p.Queue, Seat: seat.Seat, Slot: uint32(seat.Slot), Known: k.Known, ZeroCopy: k.ZeroCopy,
				Ring: seat.Ring, InFlight: seat.InFlight, RXRingFull: k.Kernel.RXRingFull, RXDropped: k.Kernel.RXDropped,
				FillEmpty: k.Kernel.FillEmpty, TXInvalid: k.Kernel.TXInvalid, TXEmpty: k.Kernel.TXEmpty,
			}
			one.PID, one.Program = processOf(r, one.Slot)
			s.Sockets = append(s.Sockets, one)
		}
	}
	s.Queues = append(s.Queues, line)
}

// processOf names the process of the member in a slot.
func processOf(r *inspect.Report, slot uint32) (pid int, program string) {
	if m := r.Member(slot); m != nil {
		return m.PID, printable(m.Program)
	}
	return 0, ""
}

// addRules adds a rule, of a shared port one for each identifier.
func (s *status) addRules(r *inspect.Report, name string, rules *inspect.Rules, p classifier.Port) {
	line := statusRule{Interface: name, Port: p.Number, Shared: p.Rule.Shared, Slot: -1}
	if !line.Shared {
		line.Slot, line.Packets = int(p.Rule.Slot), rules.Slots[p.Rule.Slot]
		line.PID, line.Program = processOf(r, p.Rule.Slot)
		s.Rules = append(s.Rules, line)
		return
	}
	line.Encoding = p.Rule.Encoding.String()
	none := true
	for _, id := range rules.Identifiers {
		if id.Port != p.Number {
			continue
		}
		one := line
		one.ID, one.Slot, one.Packets = id.ID.String(), int(id.Slot), id.Redirected
		one.PID, one.Program = processOf(r, id.Slot)
		s.Rules = append(s.Rules, one)
		none = false
	}
	if none {
		s.Rules = append(s.Rules, line)
	}
}
