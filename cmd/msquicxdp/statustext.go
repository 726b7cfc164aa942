// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
)

// statusText lays a status out: the verdict, what is wrong, and tables, without those that
// would be empty.
func (s *statusOf) statusText(now *status) string {
	s.pace.begin(now.Time)
	text := wrap(now.Verdict+".", s.width) + "\n"
	for _, w := range now.Warnings {
		text += wrap("! "+w, s.width) + "\n"
	}
	for _, h := range now.Hidden {
		text += wrap("? cannot be seen: "+h, s.width) + "\n"
	}
	for _, rows := range []table{
		s.interfacesTable(now), s.membersTable(now), s.queuesTable(now), s.socketsTable(now),
		s.rulesTable(now), s.packetsTable(now), s.kernelOnlyTable(now),
	} {
		if len(rows) > 1 {
			text += "\n" + rows.text(s.width)
		}
	}
	return text
}

func (s *statusOf) interfacesTable(now *status) table {
	rows := table{{"INTERFACE", "STATE", "QUEUES SERVED", "MODE", "XDP PROGRAM"}}
	for _, i := range now.Interfaces {
		state := "down"
		if i.Up {
			state = "up"
		}
		served := fmt.Sprintf("%d of %d", i.Served, i.Queues)
		if i.Queues == 0 {
			served = nothing
		}
		rows.add(i.Name, state, served, orNothing(i.Mode), i.program())
	}
	return rows
}

// program says whose the XDP program is.
func (i *statusInterface) program() string {
	switch {
	case i.Program == 0:
		return "none"
	case i.Ours:
		return fmt.Sprintf("ours, number %d", i.Program)
	case i.InUse && i.ProgramName != "":
		return fmt.Sprintf("the application's, number %d, %s", i.Program, i.ProgramName)
	case i.ProgramName == "":
		return fmt.Sprintf("number %d", i.Program)
	}
	return fmt.Sprintf("foreign, number %d, %s", i.Program, i.ProgramName)
}

func (s *statusOf) membersTable(now *status) table {
	rows := table{{"SLOT", "PID", "USER", "AGE", "ANSWERS", "SERVES", "PROGRAM"}}
	for _, m := range now.Members {
		user := holder{UID: m.UID, User: m.User}
		answers := "no"
		if m.Answers {
			answers = "yes"
		}
		rows.add(strconv.Itoa(int(m.Slot)), pidText(m.PID), user.user(), age(m.Started, now.Time), answers,
			orNothing(strings.Join(m.Serves, ",")), orNothing(m.Program))
	}
	return rows
}

func pidText(pid int) string { return (&holder{PID: pid}).pid() }

// age says how long ago something was, in its largest units.
func age(since, now time.Time) string {
	if since.IsZero() {
		return nothing
	}
	d := max(now.Sub(since), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

func (s *statusOf) queuesTable(now *status) table {
	rows := table{{"QUEUE", "MEMBERS", "MODE", "FRAMES", "FILL", "RINGS", "MISSING", "IDLE", "TO SEND", "IN FLIGHT"}}
	for _, q := range now.Queues {
		cells := []string{queueName(q.Interface, q.Queue), strconv.Itoa(q.Members)}
		if q.Most == 0 { // nobody tells
			cells = append(cells, slices.Repeat([]string{nothing}, len(rows[0])-len(cells))...)
		} else {
			cells[1] = fmt.Sprintf("%d of %d", q.Members, q.Most)
			cells = append(cells, copying(q.ZeroCopy))
			for _, n := range []int{q.Frames, q.Fill, q.Rings, q.Missing, q.Idle, q.Send, q.InFlight} {
				cells = append(cells, strconv.Itoa(n))
			}
		}
		rows.add(cells...)
	}
	return rows
}

func copying(zeroCopy bool) string {
	if zeroCopy {
		return "zero-copy"
	}
	return "copy"
}

func (s *statusOf) socketsTable(now *status) table {
	rows := table{{"SOCKET OF", "PID", "RING", "IN FLIGHT", "RING FULL", "DROPPED", "FILL EMPTY", "TX INVALID"}}
	for _, k := range now.Sockets {
		of := fmt.Sprintf("%s slot %d", queueName(k.Interface, k.Queue), k.Slot)
		cells := []string{of, pidText(k.PID), strconv.Itoa(k.Ring), strconv.Itoa(k.InFlight)}
		for what, n := range []uint64{k.RXRingFull, k.RXDropped, k.FillEmpty, k.TXInvalid} {
			cell := "?"
			if k.Known {
				cell = s.pace.count(fmt.Sprint(of, " ", k.Seat, " ", what), n)
			}
			cells = append(cells, cell)
		}
		rows.add(cells...)
	}
	return rows
}

func (s *statusOf) rulesTable(now *status) table {
	rows := table{{"PORT", "ON", "RULE", "ID", "PACKETS", "SLOT", "PID", "PROGRAM"}}
	for _, r := range now.Rules {
		rule, slot := "exclusive", strconv.Itoa(r.Slot)
		if r.Shared {
			rule = "shared " + r.Encoding
		}
		if r.Slot < 0 {
			slot = nothing
		}
		packets := s.pace.count(fmt.Sprint("rule ", r.Interface, " ", r.Port, " ", r.ID, " ", r.Slot), r.Packets)
		rows.add("udp/"+strconv.Itoa(int(r.Port)), r.Interface, rule, orNothing(r.ID), packets, slot, pidText(r.PID), orNothing(r.Program))
	}
	return rows
}

func (s *statusOf) packetsTable(now *status) table {
	rows := table{{"PACKETS ON", "COUNT", "WENT"}}
	for _, p := range now.Packets {
		count := s.pace.count("packets "+p.Interface+" "+p.Reason, p.Packets)
		if p.Packets == 0 {
			continue
		}
		went := "to the kernel: " + p.Reason
		if p.Reason == classifier.Redirected.String() {
			went = "to an AF_XDP socket"
		}
		rows.add(p.Interface, count, went)
	}
	return rows
}

func (s *statusOf) kernelOnlyTable(now *status) table {
	rows := table{{"KERNEL ONLY", "KIND", "ID", "PID", "PROGRAM", "WHY"}}
	for _, k := range now.KernelOnly {
		rows.add(k.Proto+"/"+strconv.Itoa(int(k.Port)), k.Kind, orNothing(k.ID), pidText(k.PID), orNothing(k.Program), k.Why)
	}
	return rows
}
