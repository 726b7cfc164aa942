// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// holder is somebody who has a port, as the commands show it. The names of the
// JSON fields are there to stay; docs/CLI.md is printed from the tags.
type holder struct {
	Namespace uint64    `json:"namespace,omitempty" about:"cookie of the network namespace (SO_NETNS_COOKIE); not of foreign sockets, which are always of this one"`
	Proto     string    `json:"proto" about:"udp or tcp"`
	Port      uint16    `json:"port" about:"the port"`
	Kind      string    `json:"kind" about:"listener, client, cibir, qtip; foreign: a socket of a program that makes no claims; unknown: a claim of another version"`
	ID        string    `json:"id,omitempty" about:"CIBIR identifier, in hexadecimal digits"`
	Encoding  string    `json:"encoding,omitempty" about:"where the identifier is in connection IDs: LENGTH@SOURCE/DESTINATION"`
	Shared    bool      `json:"shared" about:"others can join"`
	Tier      string    `json:"tier,omitempty" about:"how well foreign programs are kept off: unguarded, guarded, owned"`
	XDP       bool      `json:"xdp" about:"it is served by AF_XDP as well"`
	PID       int       `json:"pid,omitempty" about:"process, as it sees itself; missing if it is not known"`
	Program   string    `json:"program,omitempty" about:"what the process calls itself; unprintable characters are replaced"`
	UID       int64     `json:"uid" about:"user; -1 if it is not known"`
	User      string    `json:"user,omitempty" about:"name of the user, if it has one"`
	Since     time.Time `json:"since,omitzero" about:"when it got the port, RFC 3339"`
	Version   int       `json:"version,omitempty" about:"version of the protocol for claims that it speaks; not of foreign sockets"`

	slot uint32 // tells members of a shared port apart
}

// kindUnknown is the kind of a claim of which nothing can be read.
const kindUnknown = "unknown"

// claimed shows a claim.
func (t *tool) claimed(c claim) holder {
	h := holder{Namespace: c.namespace, Kind: kindUnknown, UID: -1}
	if c.Version == portres.Version {
		h = t.party(c.Party)
		h.Namespace = c.namespace
		h.Tier = c.Party.Tier.String()
		h.XDP = c.Party.XDP
		h.Shared = !c.Exclusive
	}
	h.Proto, h.Port, h.Version, h.slot = c.Proto.String(), c.Port, c.Version, c.Slot
	return h
}

// stranger shows a foreign socket.
func (t *tool) stranger(proto rules.Proto, port uint16, p rules.Party) holder {
	h := t.party(p)
	h.Proto, h.Port = proto.String(), port
	return h
}

func (t *tool) party(p rules.Party) holder {
	h := holder{
		Kind:    p.Kind.String(),
		PID:     p.Process,
		Program: printable(p.Program),
		UID:     int64(p.UID),
		User:    printable(t.machine.userName(p.UID)),
		Since:   p.Since.UTC(),
	}
	if p.Kind == rules.CIBIR {
		h.ID, h.Encoding = p.ID.String(), p.Encoding.String()
	}
	return h
}

// holdersText lays holders out in a table.
func (t *tool) holdersText(list []holder, allNamespaces bool) string {
	title := []string{"PORT", "KIND", "ID", "ENC", "TIER", "PID", "USER", "SINCE", "PROGRAM"}
	if allNamespaces {
		title = append([]string{"NAMESPACE"}, title...)
	}
	rows := table{title}
	for _, h := range list {
		cells := []string{h.address(), h.kind(), orNothing(h.ID), orNothing(h.Encoding), orNothing(h.Tier),
			h.pid(), h.user(), shortTime(h.Since, t.machine.now()), h.program()}
		if allNamespaces {
			cells = append([]string{strconv.FormatUint(h.Namespace, 10)}, cells...)
		}
		rows.add(cells...)
	}
	return rows.text(t.width)
}

// line describes the holder outside of a table.
func (h *holder) line() string {
	words := []string{h.address(), h.kind(), h.ID, h.Encoding, h.Tier, "pid " + h.pid(), "user " + h.user(), h.program()}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), "  ")
}

func (h *holder) address() string { return h.Proto + "/" + strconv.Itoa(int(h.Port)) }

func (h *holder) pid() string {
	if h.PID == 0 {
		return nothing
	}
	return strconv.Itoa(h.PID)
}

// kind returns "alone" for a CIBIR listener that serves alone.
func (h *holder) kind() string {
	kind := h.Kind
	if kind == rules.CIBIR.String() && !h.Shared {
		kind = "alone"
	}
	if h.XDP {
		kind += "+xdp"
	}
	return kind
}

// user returns the name, or as ps(1) does the number where the name is long.
func (h *holder) user() string {
	const most = 10
	switch {
	case h.UID < 0:
		return nothing
	case h.User == "" || len(h.User) > most:
		return strconv.FormatInt(h.UID, 10)
	}
	return h.User
}

func (h *holder) program() string {
	switch {
	case h.Kind == kindUnknown:
		return fmt.Sprintf("(speaks version %d, this is %d)", h.Version, portres.Version)
	case h.Program == "":
		return nothing
	}
	return h.Program
}

// shortTime returns the time of a day, the day of a year, or the year, as ps(1)
// does, in the time zone of now.
func shortTime(at, now time.Time) string {
	at = at.In(now.Location())
	switch {
	case at.IsZero():
		return nothing
	case at.Year() != now.Year():
		return at.Format("2006")
	case at.YearDay() != now.YearDay():
		return at.Format("Jan02")
	}
	return at.Format("15:04")
}
