// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/reserve"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// explanation is what explain prints as JSON.
type explanation struct {
	Proto       string       `json:"proto" about:"udp or tcp"`
	Port        uint16       `json:"port" about:"the port"`
	Outcome     string       `json:"outcome" about:"what would happen: granted, opens, joins, serves-alone, refused"`
	Reason      string       `json:"reason" about:"why, as in docs/PORTS.md; other-version: held by programs that speak another version of the protocol for claims"`
	Errno       string       `json:"errno,omitempty" about:"what a refused program is told"`
	Sentence    string       `json:"sentence" about:"the same for people, with what to do"`
	Holders     []holder     `json:"holders" about:"who has the port, foreign programs included"`
	Reservation *reservation `json:"reservation,omitempty" about:"the reservation that the port belongs to"`
}

// asking is what explain is asked about.
type asking struct {
	port       reserve.Range // one port
	id         cibir.ID
	encoding   cibir.Encoding
	client     bool
	xdp        bool
	noSteering bool
	uid        uint32
}

func newExplain(t *tool) *cobra.Command {
	a := asking{uid: uint32(os.Geteuid())}
	cmd := &cobra.Command{
		Use:   "explain PROTO PORT",
		Short: "Say what would happen to who asks for a port, and why",
		Long: `Says what would be decided if a program asked for the port now, why, who has the
port, and for whom it is reserved. It takes nothing.

The program is a MsQuic listener without CIBIR, at TCP a QTIP listener, unless
--cibir or --client say otherwise. Its user is the one who runs this, unless
--as-uid names another, whose groups are then those that the machine knows. A
CIBIR listener has steering (BPF needs root or CAP_BPF; XDP does as well) unless
--no-steering says that it has not.

The exit status is 1 if the port would be refused.`,
		Example: `  msquicxdp ports explain udp 4433
  msquicxdp ports explain udp 4433 --cibir 0a0b --encoding 2@9/9 --as-uid www-data`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := portArgs(&a.port)(cmd, args); err != nil {
				return err
			}
			return a.validate()
		},
		ValidArgsFunction: completeProto,
		RunE:              t.doing(func() error { return t.explain(&a) }),
	}
	flags := cmd.Flags()
	flags.Func("cibir", "as a CIBIR listener with identifier `HEX`", setter(&a.id, cibir.ParseID))
	flags.Func("encoding", "encoding `L@S/D`: length, source and destination offset", setter(&a.encoding, cibir.ParseEncoding))
	flags.BoolVar(&a.client, "client", false, "as a client")
	flags.BoolVar(&a.xdp, "xdp", false, "with AF_XDP")
	flags.BoolVar(&a.noSteering, "no-steering", false, "without BPF and XDP")
	flags.Func("as-uid", "as user `USER`, by name or number", setter(&a.uid, parseUser))
	return cmd
}

// setter makes of a parser what pflag's Func wants.
func setter[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(text string) (err error) {
		*to, err = parse(text)
		return err
	}
}

func (a *asking) validate() error {
	isCIBIR := a.id.Len() != 0
	switch {
	case isCIBIR != (a.encoding != cibir.Encoding{}):
		return errors.New("--cibir and --encoding belong together: give both, such as --cibir 0a0b --encoding 2@9/9")
	case isCIBIR && a.id.Len() != int(a.encoding.Length):
		return fmt.Errorf("identifier %v has %d bytes, and in encoding %v it would have %d", a.id, a.id.Len(), a.encoding, a.encoding.Length)
	case isCIBIR && a.client:
		return errors.New("a client has its port to itself, with CIBIR or without: leave out --cibir or --client")
	case a.noSteering && a.xdp:
		return errors.New("XDP steers: leave out --no-steering or --xdp")
	}
	return nil
}

func (a *asking) party() rules.Party {
	p := rules.Party{UID: a.uid, XDP: a.xdp}
	switch {
	case a.client:
		p.Kind = rules.Client
	case a.id.Len() != 0:
		p.Kind, p.ID, p.Encoding, p.Steering = rules.CIBIR, a.id, a.encoding, !a.noSteering
	case a.port.Proto == rules.TCP:
		p.Kind = rules.QTIP
	default:
		p.Kind = rules.Listener
	}
	return p
}

func (t *tool) explain(a *asking) error {
	spec := portres.Spec{Proto: a.port.Proto, Port: a.port.Start, Party: a.party()}
	gids, err := groupsOf(a.uid)
	if err != nil {
		return err
	}
	if spec.Reservation, err = t.store().For(spec.Proto, spec.Port, a.uid, gids); err != nil {
		return err
	}
	d, err := t.machine.ask(t.stateDir, spec)
	e := explanation{
		Proto: a.port.Proto.String(), Port: a.port.Start,
		Outcome: d.Outcome.String(), Reason: d.Reason.String(), Errno: errnoName(d.Errno()),
		Sentence: printable(d.Sentence()),
	}
	if other := new(portres.VersionError); errors.As(err, &other) {
		e.Reason, e.Errno, e.Sentence = otherVersion, errnoName(kerr.Errno(err)), other.Error()
	} else if err != nil {
		return err
	}
	if err := t.addContext(&e, a.port); err != nil {
		return err
	}
	if err := t.print(t.explanationText(&e), e); err != nil {
		return err
	}
	if d.Outcome == rules.Refused {
		return errRefused
	}
	return nil
}

// otherVersion is a reason that the rules do not know, who see only claims that
// can be read.
const otherVersion = "other-version"

// addContext adds who has the port, and for whom it is reserved.
func (t *tool) addContext(e *explanation, port reserve.Range) (err error) {
	if e.Holders, err = t.holdersOf(port.Proto, port.Start); err != nil {
		return err
	}
	r, err := t.store().Find(port.Proto, port.Start)
	if err == nil && r != nil {
		e.Reservation = new(t.reservation(r))
	}
	return err
}

// holdersOf returns all who have a port.
func (t *tool) holdersOf(proto rules.Proto, port uint16) ([]holder, error) {
	claims, err := t.machine.claimsOn(t.stateDir, proto, port)
	if err != nil {
		return nil, err
	}
	holders := []holder{} // in JSON an empty list
	for _, c := range claims {
		holders = append(holders, t.claimed(c))
	}
	strangers, err := t.strangers(proto, port, claims)
	return append(holders, strangers...), err
}

func (t *tool) explanationText(e *explanation) string {
	s := wrap(fmt.Sprintf("%s (%s): %s.", e.Outcome, e.Reason, e.Sentence), t.width) + "\n"
	if len(e.Holders) > 0 {
		s += "\n" + t.holdersText(e.Holders, false)
	}
	if e.Reservation != nil {
		s += "\n" + t.reservationsText([]reservation{*e.Reservation})
	}
	return s
}

// errnoName returns the name of an errno, "" for none.
func errnoName(errno unix.Errno) string {
	if errno == unix.EOPNOTSUPP { // has the same number as ENOTSUP, which package unix prefers
		return "EOPNOTSUPP"
	}
	return unix.ErrnoName(errno)
}
