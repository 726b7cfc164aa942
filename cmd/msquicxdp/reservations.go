// SPDX-License-Identifier: MIT

package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msquicxdp/msquicxdp/portres/reserve"
)

// reservation is a reservation as the commands show it. The names of the JSON
// fields are there to stay; docs/CLI.md is printed from the tags.
type reservation struct {
	Token     string    `json:"token" about:"names the reservation"`
	Proto     string    `json:"proto" about:"udp or tcp"`
	First     uint16    `json:"first" about:"first port"`
	Last      uint16    `json:"last" about:"last port"`
	Name      string    `json:"name,omitempty" about:"what the administrator calls it"`
	Exclusive bool      `json:"exclusive" about:"for one exclusive holder at a time; else for CIBIR listeners"`
	Encoding  string    `json:"encoding,omitempty" about:"that the CIBIR listeners must have"`
	UIDs      []uint32  `json:"uids" about:"users who may claim the ports"`
	GIDs      []uint32  `json:"gids" about:"groups who may"`
	Enforce   bool      `json:"enforce" about:"apply has the kernel refuse the ports to all others"`
	Created   time.Time `json:"created" about:"when it was made, RFC 3339"`
}

// reservationListing is what reservations prints as JSON.
type reservationListing struct {
	Reservations []reservation `json:"reservations" about:"by protocol and port"`
}

func newReservations(t *tool) *cobra.Command {
	return &cobra.Command{
		Use:   "reservations",
		Short: "List what is reserved",
		Long:  "Lists the reservations: token, ports, for what, for whom, whether they are to be\nenforced, name.",
		Args:  cobra.NoArgs,
		RunE:  t.doing(t.listReservations),
	}
}

func (t *tool) listReservations() error {
	stored, err := t.store().List()
	if err != nil {
		return err
	}
	list := []reservation{} // in JSON an empty list
	for _, r := range stored {
		list = append(list, t.reservation(&r))
	}
	text := "nothing is reserved\n"
	if len(list) > 0 {
		text = t.reservationsText(list)
	}
	return t.print(text, reservationListing{list})
}

func (t *tool) reservation(r *reserve.Reservation) reservation {
	v := reservation{
		Token: r.Token.String(), Proto: r.Proto.String(), First: r.Start, Last: r.Last(),
		Name: printable(r.Name), Exclusive: r.Exclusive,
		UIDs: append([]uint32{}, r.UIDs...), GIDs: append([]uint32{}, r.GIDs...),
		Enforce: r.Enforce, Created: r.Created,
	}
	if !r.Exclusive {
		v.Encoding = r.Encoding.String()
	}
	return v
}

// reservationsText lays reservations out in a table.
func (t *tool) reservationsText(list []reservation) string {
	rows := table{{"TOKEN", "PORTS", "FOR", "ENFORCE", "WHO", "NAME"}}
	for _, r := range list {
		rows.add(r.Token, r.ports(), r.purpose(), yesNo(r.Enforce), t.who(&r), orNothing(r.Name))
	}
	return rows.text(t.width)
}

// ports returns the range in one word.
func (r *reservation) ports() string {
	s := r.Proto + "/" + strconv.Itoa(int(r.First))
	if r.Last != r.First {
		s += "-" + strconv.Itoa(int(r.Last))
	}
	return s
}

func (r *reservation) purpose() string {
	if r.Exclusive {
		return "exclusive"
	}
	return "cibir " + r.Encoding
}

// who names the users, and the groups with a % before them as sudoers(5) does.
func (t *tool) who(r *reservation) string {
	var names []string
	for _, uid := range r.UIDs {
		names = append(names, account(t.machine.userName(uid), uid))
	}
	for _, gid := range r.GIDs {
		names = append(names, "%"+account(t.machine.groupName(gid), gid))
	}
	return strings.Join(names, ",")
}

// account returns a name, or the number if there is none.
func account(name string, id uint32) string {
	if name == "" {
		return strconv.FormatUint(uint64(id), 10)
	}
	return printable(name)
}

func orNothing(s string) string {
	if s == "" {
		return nothing
	}
	return s
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
